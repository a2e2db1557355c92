import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '../core/clock.ts'
import { Stats } from './stats.ts'

const start = 1_700_000_000_000

test('a second is shown once it is over, one row per node and function', () => {
  const clock = virtualClock(start)
  const stats = new Stats(clock)
  stats.record('a', 'f', 100)
  stats.record('a', 'f', 300)
  stats.record('b', 'f', 50)
  assert.deepEqual(stats.since().stats, [])
  clock.advance(1_000)
  const timestamp = '2023-11-14T22:13:20.000Z'
  assert.deepEqual(stats.since().stats, [
    { timestamp, tp: 2, node: 'a', func: 'f', wait: 0.2 },
    { timestamp, tp: 1, node: 'b', func: 'f', wait: 0.05 },
  ])
})

test('a reply that does not tell its wait counts, but not in the mean', () => {
  const clock = virtualClock(start)
  const stats = new Stats(clock)
  stats.record('a', 'f', undefined)
  stats.record('a', 'f', 400)
  clock.advance(1_000)
  assert.deepEqual(
    stats.since().stats.map(({ tp, wait }) => [tp, wait]),
    [[2, 0.4]],
  )
})

test('two readers with cursors of their own both see everything once', () => {
  const clock = virtualClock(start)
  const stats = new Stats(clock)
  const cursors: (string | undefined)[] = [undefined, undefined]
  const totals = [0, 0]
  for (let second = 0; second < 6; second++) {
    stats.record('a', 'f', 1)
    clock.advance(1_000)
    for (const reader of second % 2 === 0 ? [0] : [0, 1]) {
      const page = stats.since(cursors[reader])
      cursors[reader] = page.cursor
      totals[reader] = (totals[reader] ?? 0) + page.stats.length
    }
  }
  assert.deepEqual(totals, [6, 6])
})

test('only the oldest rows give way', () => {
  const clock = virtualClock(start)
  const stats = new Stats(clock, 800)
  for (let second = 0; second < 5; second++) {
    stats.record('a', `f${second}`, 1)
    clock.advance(1_000)
  }
  assert.deepEqual(
    stats.since().stats.map(({ func }) => func),
    ['f2', 'f3', 'f4'],
  )
})

test('a cursor of another run, or none at all, shows all that is kept', () => {
  const clock = virtualClock(start)
  const stats = new Stats(clock)
  stats.record('a', 'f', 1)
  clock.advance(1_000)
  for (const cursor of ['zz.9', '', 'x', '.', `${start.toString(36)}.x`])
    assert.equal(stats.since(cursor).stats.length, 1)
})
