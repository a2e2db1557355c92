import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '../../core/clock.ts'
import { type PullProgress, progressMeter } from './progress.ts'

const events = fc.array(
  fc.record({
    id: fc.constantFrom('aaaa', 'bbbb', 'cccc'),
    status: fc.constantFrom(
      'Pulling fs layer',
      'Waiting',
      'Downloading',
      'Verifying Checksum',
      'Download complete',
      'Extracting',
      'Pull complete',
      'Already exists',
      'Retrying in 5 seconds',
    ),
    progressDetail: fc.oneof(fc.constant({}), fc.record({ current: fc.nat(1_000), total: fc.nat(1_000) })),
  }),
)

/** What is reported of events that come `step` ms apart. */
function reportsOf(given: readonly Parameters<ReturnType<typeof progressMeter>['add']>[0][], step: number) {
  const clock = virtualClock()
  const seen: (PullProgress & { at: number })[] = []
  const meter = progressMeter('r', clock, (progress) => seen.push({ ...progress, at: clock.now() }))
  for (const event of given) {
    meter.add(event)
    clock.advance(step)
  }
  meter.finish()
  return seen
}

describe('progress', () => {
  test('never goes back, whatever an engine says', () => {
    fc.assert(
      fc.property(events, (given) => {
        const seen = reportsOf(given, 300)
        seen.slice(1).forEach((progress, i) => {
          const before = seen[i] as PullProgress
          assert.ok(progress.bytes >= before.bytes && progress.layersDone >= before.layersDone)
          assert.ok(progress.bytes <= progress.total && progress.layersDone <= progress.layers)
        })
        const last = seen.at(-1) as PullProgress
        assert.deepEqual([last.layersDone, last.bytes], [last.layers, last.total])
      }),
    )
  })

  test('is reported every 250 ms at the most, and at the end', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 400 }), (given, step) => {
        const times = reportsOf(given, step).map(({ at }) => at)
        for (const [i, at] of times.slice(1, -1).entries()) assert.ok(at - (times[i] as number) >= 250)
        assert.equal(times.at(-1), given.length * step)
      }),
    )
  })

  test('counts bytes and layers', () => {
    const seen = reportsOf(
      [
        { status: 'Pulling from library/a', id: 'latest' },
        { status: 'Pulling fs layer', id: 'a' },
        { status: 'Already exists', id: 'b' },
        { status: 'Downloading', id: 'a', progressDetail: { current: 10, total: 40 } },
        { status: 'Digest: sha256:1' },
      ],
      250,
    )
    assert.deepEqual(
      seen.map(({ layersDone, layers, bytes, total }) => [layersDone, layers, bytes, total]),
      [
        [0, 1, 0, 0],
        [1, 2, 0, 0],
        [1, 2, 10, 40],
        [2, 2, 40, 40],
      ],
    )
  })
})
