import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '../core/clock.ts'
import type { Stat } from './driver.ts'
import { Measurements, measure } from './measurements.ts'

const never = new AbortController().signal
const at = (second: number): Stat => ({ timestamp: new Date(second * 1_000), metrics: { mem_usage: second } })
const timesOf = (stats: readonly Stat[]) => stats.map(({ timestamp }) => timestamp.getTime() / 1_000)

test('however long a container lives, at most 240 samples are kept, from its first to its last', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), (count) => {
      const measurements = new Measurements()
      for (let i = 0; i < count; i++) measurements.add(at(i))
      const kept = timesOf(measurements.kept())
      assert.ok(kept.length <= 240 && kept.length >= Math.min(count, 120), `${kept.length} of ${count}`)
      assert.deepEqual(
        kept,
        kept.toSorted((a, b) => a - b),
      )
      assert.ok((kept[0] as number) <= count / 100 && (kept.at(-1) as number) >= count * 0.98 - 2)
    }),
    { numRuns: 30 },
  )
})

test('a stream begins with the latest and ends with the container', async () => {
  const measurements = new Measurements()
  measurements.add(at(1))
  measurements.add(at(2))
  const seen: Stat[] = []
  for await (const stat of measurements.stream(never)) {
    seen.push(stat)
    if (seen.length === 1) setImmediate(() => measurements.add(at(3)))
    else measurements.end()
  }
  assert.deepEqual(timesOf(seen), [2, 3])
})

test('aborting ends one stream and no other', async () => {
  const measurements = new Measurements()
  const abort = new AbortController()
  const first = measurements.stream(abort.signal).next()
  const second = measurements.stream(never).next()
  abort.abort()
  assert.equal((await first).done, true)
  measurements.add(at(1))
  assert.deepEqual((await second).value, at(1))
})

test('what comes after the end is not kept', () => {
  const measurements = new Measurements()
  measurements.end()
  measurements.add(at(1))
  assert.deepEqual(measurements.kept(), [])
})

test('a container is sampled every second until its end', async () => {
  const clock = virtualClock()
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let reads = 0
  const measurements = measure({ clock, ended, read: () => ({ mem_usage: ++reads }) })
  for (let i = 0; i < 3; i++) {
    await new Promise(setImmediate)
    clock.advance(1_000)
  }
  await new Promise(setImmediate)
  resolve()
  await new Promise(setImmediate)
  clock.advance(5_000)
  await new Promise(setImmediate)
  assert.equal(reads, 4)
  assert.equal(measurements.kept().length, 4)
})
