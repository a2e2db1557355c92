import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeWorkload, type RigOptions, SchedulerRig } from '../../../test/support/scheduler-rig.ts'
import { totalWait } from '../../core/headers.ts'
import { NOTHING_MORE, type Outlook, predictWait } from './forecast.ts'
import type { Workload } from './workload.ts'

const none: Outlook = {
  waiting: 0,
  queued: 0,
  slots: 0,
  coming: 0,
  next: 0,
  service: undefined,
  busyFor: 0,
  ranFor: 0,
  between: 0,
  most: Infinity,
  concurrency: 1,
  start: 300,
}

const outlook: fc.Arbitrary<Outlook> = fc.record({
  waiting: fc.constant(0),
  queued: fc.nat(200),
  slots: fc.nat(50),
  coming: fc.nat(50),
  next: fc.nat(300),
  service: fc.option(fc.nat(10_000), { nil: undefined }),
  busyFor: fc.nat(10_000),
  ranFor: fc.nat(10_000),
  between: fc.constantFrom(0, 300),
  most: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 60 })),
  concurrency: fc.integer({ min: 1, max: 4 }),
  start: fc.constant(300),
})

/** Room for so many containers, each ready after a start of 300 ms. */
const room = (containers: number) => ({ containers, readyIn: () => 300 })

test('a prediction is never longer with more containers to start, nor shorter with one more call', () => {
  fc.assert(
    fc.property(outlook, fc.nat(100), (o, containers) => {
      const alone = predictWait(o, NOTHING_MORE)
      const helped = predictWait(o, room(containers))
      if (alone !== undefined && helped !== undefined) assert.ok(helped <= alone + 1e-6)
      const crowded = predictWait({ ...o, queued: o.queued + 1 }, room(containers))
      if (helped !== undefined && crowded !== undefined) assert.ok(crowded >= helped - 1e-6)
      assert.ok(!Number.isNaN(helped) && (helped ?? 0) >= 0)
    }),
  )
})

test('a call that must queue is predicted the shorter of the queue and a start', () => {
  const busy = { ...none, slots: 1, service: 1_000, queued: 4 }
  assert.deepEqual([predictWait(busy, NOTHING_MORE), predictWait(busy, room(9))], [5_000, 300])
  assert.equal(predictWait({ ...busy, service: undefined }, room(9)), undefined)
  assert.equal(predictWait(none, room(1)), 300)
  assert.equal(predictWait(none, NOTHING_MORE), undefined)
})

test('a call counts on no more containers than there is room for, nor on more slots than may run', () => {
  const busy = { ...none, slots: 3, service: 500, queued: 30, ranFor: 250 }
  const alone = predictWait(busy, NOTHING_MORE) ?? assert.fail()
  const helped = predictWait(busy, room(1)) ?? assert.fail()
  assert.ok(helped < alone && helped > (31 * 500) / 4 - 500)
  assert.equal(predictWait({ ...busy, most: 3 }, room(9)), alone)
  assert.equal(predictWait({ ...busy, slots: 10, most: 3 }, room(9)), alone)
})

/** How many run at once, by what: what the node has room for, or what may. */
const LIMITS: readonly (readonly [string, Partial<Workload>, RigOptions])[] = [
  ['max_concurrency', { maxConcurrency: 3 }, { memory: 100 * 128 }],
  ['memory', {}, { memory: 3 * 128 }],
  ['max_concurrency, in shared containers', { maxConcurrency: 3, concurrency: 2 }, { memory: 100 * 128 }],
  [
    'max_concurrency, each in a container of its own',
    { maxConcurrency: 3, once: true },
    { memory: 100 * 128 },
  ],
  ['memory, each in a container of its own', { once: true }, { memory: 3 * 128 }],
]

/** A node that knows the function, of 500 ms; every 20 ms a call of it, so that more and more wait. */
function queueUp(over: Partial<Workload>, options: RigOptions) {
  const rig = new SchedulerRig(options)
  const fn = makeWorkload(over)
  for (let i = 0; i < 12; i++) {
    rig.call(fn, 500)
    rig.clock.advance(180)
  }
  rig.clock.advance(20_000)
  return Array.from({ length: 36 }, (_, i) => {
    const predicted = rig.scheduler.predict(fn)
    const call = rig.call(fn, 500)
    rig.clock.advance(i < 3 ? 160 : 20)
    return { predicted, call, rig }
  })
}

for (const [limit, over, options] of LIMITS)
  test(`what is predicted is what happens, within half a run, with 3 to 30 calls waiting; limited by ${limit}`, () => {
    const calls = queueUp(over, options)
    calls[0]?.rig.clock.advance(29_000)
    for (const { predicted, call } of calls.slice(3)) {
      assert.ok(call.slot, call.outcome)
      const waited = totalWait(call.slot.wait)
      assert.ok(
        Math.abs((predicted ?? 0) - waited) <= 250,
        `${predicted} ms were predicted, it waited ${waited} ms`,
      )
    }
  })

test('with max_concurrency a call that would wait in vain is refused when it comes, with the time to come again', () => {
  const calls = queueUp({ maxConcurrency: 3, maxWait: 3_000 }, { memory: 100 * 128 })
  calls[0]?.rig.clock.advance(29_000)
  const refused = calls.filter(({ call }) => call.outcome === 'refused')
  assert.ok(refused.length > 10, `${refused.length} were refused`)
  for (const { call, predicted } of refused) {
    assert.equal(
      call.error?.code,
      'refused',
      'a refusal that is retried elsewhere, not one after having waited',
    )
    assert.equal(call.error?.retryAfter, predicted)
    assert.ok((predicted ?? 0) > 3_000 && (predicted ?? 0) < 3_500)
  }
})
