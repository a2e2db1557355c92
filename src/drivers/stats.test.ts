import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Stat } from './driver.ts'
import { average, decimate } from './stats.ts'

const BASE = 1_470_873_600_000

/** Samples a second apart, the metric counting up; `gap` adds minutes before an index. */
const series = (count: number, gap?: { at: number; minutes: number }): Stat[] =>
  Array.from({ length: count }, (_, i) => ({
    timestamp: new Date(BASE + i * 1_000 + (gap && i >= gap.at ? gap.minutes * 60_000 : 0)),
    metrics: { x: i },
  }))

/** `metric@seconds`, cut to milliseconds. */
const show = ({ timestamp, metrics }: Stat) => `${metrics['x']}@${(timestamp.getTime() - BASE) / 1_000}`

describe('decimate', () => {
  const vectors: readonly (readonly [number, number, number, readonly string[], readonly string[]])[] = [
    [480, 240, 240, ['0@0.5', '2@2.5', '4@4.5', '6@6.5'], ['476@476.5', '478@478.5']],
    [700, 240, 240, ['1@0.999', '4@3.999', '7@6.999'], ['695@694.999', '698@697.999']],
    [300, 240, 240, ['0@0.5', '2@2', '3@3', '4@4'], ['297@297', '298@298.5']],
    [241, 240, 240, ['0@0.5', '2@2', '3@3'], ['239@239', '240@240']],
    [5, 1, 1, ['2@2'], ['2@2']],
  ]
  for (const [count, max, length, head, tail] of vectors)
    test(`${count} samples to ${max}`, () => {
      const shown = decimate(max, series(count)).map(show)
      assert.equal(shown.length, length)
      assert.deepEqual(shown.slice(0, head.length), head)
      assert.deepEqual(shown.slice(-tail.length), tail)
    })

  test('a gap leaves windows empty', () => {
    const shown = decimate(240, series(300, { at: 150, minutes: 20 })).map(show)
    assert.equal(shown.length, 49)
    assert.deepEqual(shown.slice(0, 3), ['3@2.999', '9@9.499', '15@15.499'])
    assert.deepEqual(shown.slice(-2), ['295@1495.499', '299@1499'])
  })

  test('what is short enough comes back as it is', () => {
    for (const count of [240, 239]) {
      const stats = series(count)
      assert.equal(decimate(240, stats), stats)
    }
  })

  test('samples of one moment become one', () => {
    const at = new Date(BASE)
    assert.equal(
      decimate(
        3,
        [1, 2, 3, 4].map((x) => ({ timestamp: at, metrics: { x } })),
      ).length,
      1,
    )
  })

  test('none are wanted, none come', () => {
    assert.deepEqual(decimate(0, []), [])
    assert.deepEqual(decimate(-1, []), [])
    assert.deepEqual(decimate(0, series(1)), [])
  })

  test('never gives more than wanted, keeps the order and changes nothing', () => {
    const times = fc.array(fc.nat(5), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 70 }), (steps, max) => {
        const stats = steps.map((_, x) => {
          const ms = steps.slice(0, x).reduce((sum, step) => sum + step, BASE)
          return { timestamp: new Date(ms), metrics: { x } }
        })
        const before = structuredClone(stats)
        const less = decimate(max, stats)
        const moments = less.map(({ timestamp }) => timestamp.getTime())
        assert.ok(less.length <= max && less.length > 0)
        assert.deepEqual(
          moments,
          moments.toSorted((a, b) => a - b),
        )
        assert.deepEqual(stats, before)
      }),
    )
  })
})

describe('average', () => {
  test('of ten samples a minute apart', () => {
    const samples = Array.from({ length: 10 }, (_, x) => ({
      timestamp: new Date(BASE + x * 60_000),
      metrics: { x },
    }))
    assert.deepEqual(average(samples), { timestamp: new Date(1_470_873_870_000), metrics: { x: 4 } })
  })

  test('of none is none, of one is itself', () => {
    const [one] = series(1)
    assert.equal(average([]), undefined)
    assert.equal(average([one as Stat]), one)
  })

  test('a metric is the mean of the samples that have it', () => {
    const timestamp = new Date(BASE)
    const samples = [
      { timestamp, metrics: { a: 4 } },
      { timestamp, metrics: { b: 3 } },
    ]
    assert.deepEqual(average(samples)?.metrics, { a: 4, b: 3 })
  })
})
