import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitWait } from './wait.ts'

test('a call that a warm container takes has waited in the queue only', () => {
  assert.deepEqual(splitWait(100, 140, undefined), { queue: 40, start: 0, fetch: 0 })
})

test('the first call of a container waited for its fetch and its start', () => {
  assert.deepEqual(splitWait(0, 100, { began: 10, fetched: 30, ready: 95 }), {
    queue: 15,
    start: 65,
    fetch: 20,
  })
})

test('a call that came while the container was starting is charged only what was left', () => {
  assert.deepEqual(splitWait(50, 95, { began: 0, fetched: 20, ready: 95 }), { queue: 0, start: 45, fetch: 0 })
})

test('the clocks add up to the wait and none is negative', () => {
  const time = fc.double({ min: 0, max: 1e6, noNaN: true })
  fc.assert(
    fc.property(time, time, fc.tuple(time, time, time), (arrived, waited, born) => {
      const [began, fetched, ready] = born.sort((a, b) => a - b) as [number, number, number]
      const { queue, start, fetch } = splitWait(arrived, arrived + waited, { began, fetched, ready })
      assert.ok(queue >= 0 && start >= 0 && fetch >= 0)
      assert.ok(Math.abs(queue + start + fetch - (arrived + waited - arrived)) < 1e-6)
    }),
  )
})
