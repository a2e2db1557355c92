import assert from 'node:assert/strict'
import { test } from 'node:test'
import { average, waitTable } from './ewma.ts'

function series(first: number, sample: number, count: number): number[] {
  const values: number[] = []
  let value = average(undefined, first)
  for (let i = 0; i < count; i++) {
    value = average(value, sample)
    values.push(value)
  }
  return values
}

test('row 74: the first sample is taken as it is, 0 then 1 s gives 100 ms', () => {
  assert.equal(average(undefined, 1e9), 1e9)
  assert.equal(average(average(undefined, 0), 1e9), 100_000_000)
})

test('a steady second climbs in the known steps', () => {
  assert.deepEqual(
    series(0, 1e9, 7),
    [100_000_000, 190_000_000, 271_000_000, 343_900_000, 409_510_000, 468_559_000, 521_703_100],
  )
})

test('row 75: zero samples from 2 s fall below 500 ms at the 14th', () => {
  const values = series(2e9, 0, 14)
  assert.deepEqual(values.slice(0, 2), [1_800_000_000, 1_620_000_000])
  assert.deepEqual(values.slice(12), [508_373_164, 457_535_847])
})

test('falling below 500 ms takes 14, 22, 29 and 39 zero samples from 2, 5, 10 and 30 s', () => {
  const needed = (seconds: number) => series(seconds * 1e9, 0, 50).findIndex((value) => value < 500e6) + 1
  assert.deepEqual([2, 5, 10, 30].map(needed), [14, 22, 29, 39])
})

test('keeps the functions heard of last, within the limit', () => {
  const waits = waitTable(2)
  waits.retain(new Set([7]))
  for (const fn of [1, 2, 1, 3]) waits.record(7, fn, 5)
  assert.deepEqual(
    [1, 2, 3].map((fn) => waits.get(7, fn)),
    [5e6, 0, 5e6],
  )
})

test('a node that is no member is neither recorded nor kept', () => {
  const waits = waitTable()
  waits.record(1, 1, 5)
  assert.equal(waits.get(1, 1), 0)
  waits.retain(new Set([1]))
  waits.record(1, 1, 5)
  waits.retain(new Set())
  waits.retain(new Set([1]))
  assert.equal(waits.get(1, 1), 0)
})
