import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Demand, decideStart } from './launch.ts'

const none: Demand = { waiting: 0, slots: 0, coming: 0, next: 0, service: undefined, busyFor: 0, start: 300 }

const demand: fc.Arbitrary<Demand> = fc.record({
  waiting: fc.nat(200),
  slots: fc.nat(50),
  coming: fc.nat(50),
  next: fc.nat(300),
  service: fc.option(fc.nat(10_000), { nil: undefined }),
  busyFor: fc.nat(10_000),
  start: fc.constant(300),
})

test('a first call starts a container, a second that could only follow it does not', () => {
  assert.equal(decideStart({ ...none, waiting: 1 }), 'now')
  assert.equal(decideStart({ ...none, waiting: 2, coming: 1, next: 300 }), undefined)
})

test('a container is started when it is ready before the last waiting call would get a slot', () => {
  const busy = { ...none, slots: 2, service: 100 }
  assert.equal(decideStart({ ...busy, waiting: 6 }), 1 + (300 * 2) / 6)
  assert.equal(decideStart({ ...busy, waiting: 7 }), 'now')
})

test('when to ask again is when the answer changes', () => {
  fc.assert(
    fc.property(demand, (d) => {
      const again = decideStart(d)
      if (typeof again !== 'number') return
      const later = { ...d, busyFor: d.busyFor + again }
      assert.equal(decideStart(later), 'now')
      if (again > 2) assert.notEqual(decideStart({ ...later, busyFor: later.busyFor - 2 }), 'now')
    }),
  )
})

test('nothing is started for calls that have a slot to come', () => {
  fc.assert(
    fc.property(demand, (d) => {
      if (d.waiting <= d.coming) assert.equal(decideStart(d), undefined)
    }),
  )
})
