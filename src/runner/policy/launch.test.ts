import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { containersToStart, type Demand } from './launch.ts'

const demand: fc.Arbitrary<Demand> = fc.record({
  waiting: fc.nat(200),
  running: fc.nat(200),
  free: fc.nat(20),
  starting: fc.nat(20),
  concurrency: fc.integer({ min: 1, max: 10 }),
  maxConcurrency: fc.nat(50),
})

test('twenty simultaneous first calls start twenty containers of one slot, and none more when asked again', () => {
  const burst = { waiting: 20, running: 0, free: 0, starting: 0, concurrency: 1, maxConcurrency: 0 }
  assert.equal(containersToStart(burst), 20)
  assert.equal(containersToStart({ ...burst, starting: 20 }), 0)
})

test('containers that start never exceed what the waiting calls can use', () => {
  fc.assert(
    fc.property(demand, (d) => {
      const started = containersToStart(d)
      const slots = d.free + (d.starting + started) * d.concurrency
      assert.ok(started >= 0)
      assert.ok(started === 0 || slots < d.waiting + d.concurrency)
    }),
  )
})

test('every call that may run has a slot to come', () => {
  fc.assert(
    fc.property(demand, (d) => {
      const may =
        d.maxConcurrency === 0 ? d.waiting : Math.min(d.waiting, Math.max(0, d.maxConcurrency - d.running))
      assert.ok(d.free + (d.starting + containersToStart(d)) * d.concurrency >= may)
    }),
  )
})
