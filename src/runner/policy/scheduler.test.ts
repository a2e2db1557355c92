import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkload, type RigCall, SchedulerRig } from '../../../test/support/scheduler-rig.ts'
import { totalWait } from '../../core/headers.ts'

const reasons = (rig: SchedulerRig) => rig.starts.map(({ reason }) => reason)
const waited = (call: RigCall) => totalWait(call.slot?.wait ?? assert.fail(`the call is ${call.outcome}`))

test('row 49, herd gate: ten first calls of a short function start one container before the first ends', () => {
  const rig = new SchedulerRig()
  const calls = Array.from({ length: 10 }, () => rig.call(makeWorkload(), 10))
  rig.clock.advance(109)
  assert.equal(rig.starts.length, 1)
  rig.clock.advance(1_000)
  assert.ok(calls.every(({ outcome }) => outcome === 'done'))
  assert.equal(rig.starts.length, 1, 'nine more of 10 ms each end before another container is ready')
})

test('a burst of long calls starts more containers while the first still runs', () => {
  const rig = new SchedulerRig()
  const calls = Array.from({ length: 4 }, () => rig.call(makeWorkload(), 10_000))
  rig.clock.advance(1_000)
  assert.equal(rig.starts.length, 4)
  assert.ok(calls.every(({ outcome }) => outcome === 'running'))
  assert.deepEqual(reasons(rig), ['first', 'scale-out', 'scale-out', 'scale-out'])
})

test('a second call does not wait behind a call that runs much longer than usual', () => {
  const rig = new SchedulerRig()
  for (let i = 0; i < 5; i++) {
    rig.call(makeWorkload(), 5)
    rig.clock.advance(200)
  }
  rig.call(makeWorkload(), 60_000)
  const second = rig.call(makeWorkload(), 5)
  rig.clock.advance(1)
  assert.equal(rig.starts.length, 1, 'the usual 5 ms are shorter than a start')
  rig.clock.advance(300)
  assert.equal(second.outcome, 'done')
  assert.ok(waited(second) <= 201)
})

test('as today’s Fn: one container for every waiting call, when told so', () => {
  const rig = new SchedulerRig({ launch: 'per-call', maxStarts: 100 })
  for (let i = 0; i < 7; i++) rig.call(makeWorkload(), 10)
  assert.equal(rig.starts.length, 7)
})

test('starts in flight are capped over all functions', () => {
  const rig = new SchedulerRig({ maxStarts: 2 })
  for (const key of 'abcdef') rig.call(makeWorkload({ key }), 10)
  assert.equal(rig.starting, 2)
  rig.clock.advance(100)
  assert.equal(rig.starts.length, 4)
})

test('a start that hangs lets others in after a while', () => {
  const rig = new SchedulerRig({
    maxStarts: 1,
    startMs: ({ pool }) => (pool.workload.key === 'hangs' ? 5_000 : 100),
  })
  rig.call(makeWorkload({ key: 'hangs' }), 10)
  const healthy = rig.call(makeWorkload({ key: 'healthy' }), 10)
  rig.clock.advance(1_000)
  assert.equal(rig.starts.length, 2)
  rig.clock.advance(200)
  assert.equal(healthy.outcome, 'done')
})

test('the queue is first in, first out', () => {
  const rig = new SchedulerRig()
  const calls = Array.from({ length: 20 }, () => rig.call(makeWorkload(), 7))
  rig.clock.advance(2_000)
  assert.deepEqual(rig.granted, calls)
})

test('a function that fails to start backs off, and its calls hear why', () => {
  const rig = new SchedulerRig({ startMs: () => -50 })
  const first = rig.call(makeWorkload(), 10)
  const beside = rig.call(makeWorkload(), 10)
  rig.clock.advance(50)
  assert.deepEqual([first.error?.code, beside.error?.code], ['init-failed', 'init-failed'])
  const second = rig.call(makeWorkload(), 10)
  rig.clock.advance(50)
  assert.equal(second.error?.code, 'init-failed')
  assert.equal(rig.starts.length, 2)
  const third = rig.call(makeWorkload(), 10)
  assert.equal(third.error?.code, 'init-failed', 'it is told at once')
  assert.match(third.error?.detail ?? '', /2 starts failed in a row, the next is tried in 250ms/)
  assert.equal(third.error?.retryAfter, 250)
  assert.equal(rig.starts.length, 2)
  rig.clock.advance(250)
  rig.call(makeWorkload(), 10)
  assert.equal(rig.starts.length, 3)
})

test('a thousand functions that fail at start do not keep a healthy one from starting', () => {
  const rig = new SchedulerRig({
    memory: 1_000_000,
    startMs: ({ pool }) => (pool.workload.key === 'healthy' ? 100 : -5_000),
  })
  for (let i = 0; i < 1_000; i++) rig.call(makeWorkload({ key: `broken ${i}`, owner: 'broken' }), 10)
  const healthy = rig.call(makeWorkload({ key: 'healthy', owner: 'other' }), 10)
  rig.clock.advance(1_200)
  assert.equal(healthy.outcome, 'done')
  rig.clock.advance(60_000 * 60)
  rig.check()
  assert.equal(rig.scheduler.used.memory, 0)
  assert.equal([...rig.scheduler.pools()].length, 0, 'what failed is forgotten')
})

test('why a start was needed: never run, idle, crashed, deploy', () => {
  const rig = new SchedulerRig()
  const run = (over = {}) => {
    rig.call(makeWorkload({ idleTimeout: 1_000, ...over }), 10)
    rig.clock.advance(200)
  }
  run()
  rig.clock.advance(2_000)
  run()
  for (const instance of rig.live) rig.crash(instance)
  run()
  run({ version: '2' })
  assert.deepEqual(reasons(rig), ['first', 'idle', 'crashed', 'deploy'])
})

test('an idle container is paused when it has been idle much longer than usual, and woken for the next call', () => {
  const rig = new SchedulerRig()
  const fn = makeWorkload()
  for (let i = 0; i < 8; i++) {
    rig.call(fn, 10)
    rig.clock.advance(250)
  }
  assert.equal(rig.paused.length, 0, 'sparse calls pay for no waking')
  rig.clock.advance(2_000)
  assert.equal(rig.paused.length, 1)
  const call = rig.call(fn, 10)
  rig.clock.advance(50)
  assert.equal(call.outcome, 'done')
  assert.deepEqual(call.slot?.wait, { queue: 0, start: 30, fetch: 0 })
  assert.equal(rig.starts.length, 1)
})

test('a container that cannot be woken is let go, and the call gets another one', () => {
  const rig = new SchedulerRig({ wakeMs: -30, pause: 500 })
  rig.call(makeWorkload(), 10)
  rig.clock.advance(2_000)
  assert.equal(rig.paused.length, 1)
  const call = rig.call(makeWorkload(), 10)
  rig.clock.advance(300)
  assert.equal(call.outcome, 'done')
  assert.equal(rig.starts.length, 2)
})

test('min_warm containers are started ahead, kept, never evicted, and replaced when they end', () => {
  const rig = new SchedulerRig({ memory: 3 * 128 })
  const warm = makeWorkload({ key: 'warm', minWarm: 2 })
  rig.call(warm, 10)
  rig.clock.advance(300)
  assert.equal(rig.scheduler.pool('warm')?.live, 2)
  const { length } = rig.starts
  rig.clock.advance(120_000)
  assert.equal(rig.scheduler.pool('warm')?.live, 2)
  assert.equal(rig.starts.length, length, 'they are kept, not replaced')
  for (const key of 'ab') rig.call(makeWorkload({ key, owner: key }), 10)
  rig.clock.advance(3_000)
  assert.equal(rig.scheduler.pool('warm')?.live, 2)
  const [one] = rig.live
  if (one) rig.crash(one)
  rig.clock.advance(60_000)
  assert.equal(rig.scheduler.pool('warm')?.live, 2)
  assert.ok(reasons(rig).includes('min-warm'))
})

test('containers can be ordered ahead of calls', () => {
  const rig = new SchedulerRig()
  rig.scheduler.prewarm(makeWorkload(), 3)
  rig.clock.advance(300)
  assert.equal(rig.scheduler.pool('f')?.idle, 3)
  assert.deepEqual(reasons(rig), ['prewarm', 'prewarm', 'prewarm'])
  const call = rig.call(makeWorkload(), 10)
  assert.equal(call.outcome, 'running')
  rig.clock.advance(60_000)
  rig.check()
  assert.equal(rig.scheduler.used.memory, 0)
})

test('a call that would wait longer than it may is refused at once, with the time it would have waited', () => {
  const rig = new SchedulerRig({ memory: 128 })
  const fn = makeWorkload({ maxWait: 2_000 })
  for (let i = 0; i < 3; i++) {
    rig.call(fn, 1_000)
    rig.clock.advance(1_200)
  }
  const calls = Array.from({ length: 5 }, () => rig.call(fn, 1_000))
  assert.deepEqual(
    calls.map(({ outcome }) => outcome),
    ['running', 'waiting', 'waiting', 'refused', 'refused'],
  )
  const { error } = calls[3] as RigCall
  assert.equal(error?.code, 'refused')
  assert.equal(error?.retryAfter, 3_000)
  assert.equal(error?.detail, 'it would wait 3s, and may wait 2s')
})

test('a deadline of the caller counts as max_wait does', () => {
  const rig = new SchedulerRig({ memory: 128 })
  rig.call(makeWorkload(), 1_000)
  rig.clock.advance(1_200)
  rig.call(makeWorkload(), 1_000)
  const hurried = rig.call(makeWorkload(), 1_000, rig.clock.now() + 500)
  assert.equal(hurried.error?.code, 'refused')
  const other = makeWorkload({ key: 'other' })
  const late = rig.call(other, 1_000, rig.clock.now() + 500)
  rig.clock.advance(500)
  assert.equal(late.error?.code, 'deadline-passed')
})

test('nothing is refused by a prediction before the first start was seen', () => {
  const rig = new SchedulerRig()
  const first = rig.call(makeWorkload(), 10, 150)
  rig.clock.advance(200)
  assert.equal(first.outcome, 'done')
})

test('row 45: beyond the most calls that may wait, the next is refused', () => {
  const rig = new SchedulerRig({ maxWaiting: 100 })
  const calls = Array.from({ length: 102 }, () => rig.call(makeWorkload({ maxConcurrency: 1 }), 10))
  assert.equal(calls.filter(({ outcome }) => outcome === 'waiting').length, 100)
  assert.match(calls[101]?.error?.detail ?? '', /the queue is full: 100 calls wait on this node/)
})

test('a container made for one call serves it and no other; a caller who leaves takes it along', () => {
  const rig = new SchedulerRig()
  const fn = makeWorkload({ once: true })
  const [first, second] = [rig.call(fn, 10), rig.call(fn, 10)]
  rig.leave(first)
  assert.ok(rig.starts[0]?.abandoned)
  rig.clock.advance(300)
  assert.deepEqual([first.outcome, second.outcome], ['left', 'done'])
  assert.equal(second.slot?.instance.served, 1)
  rig.check()
  assert.equal(rig.scheduler.used.memory, 0)
  assert.deepEqual(reasons(rig), ['one-call', 'one-call'])
  const third = rig.call(fn, 10)
  rig.leave(third)
  assert.equal(rig.starting, 1, 'what is abandoned may take its time to end')
  rig.call(fn, 10)
  assert.equal(rig.starting, 2, 'and stands in for nobody')
})

test('closing refuses what waits and what comes, and stops every container', () => {
  const rig = new SchedulerRig()
  rig.call(makeWorkload({ maxConcurrency: 1 }), 10_000)
  rig.clock.advance(200)
  const waiting = rig.call(makeWorkload({ maxConcurrency: 1 }), 10)
  const error = { code: 'draining' } as RigCall['error'] & object
  rig.scheduler.close(error)
  assert.equal(waiting.error, error)
  assert.equal(rig.call(makeWorkload(), 10).error, error)
  rig.clock.advance(20_000)
  assert.equal(rig.scheduler.used.memory, 0)
  assert.deepEqual(rig.scheduler.counts, { running: 0, waiting: 0 })
})

test('max_concurrency holds also where more containers are free', () => {
  const rig = new SchedulerRig()
  const fn = makeWorkload({ maxConcurrency: 2 })
  rig.scheduler.prewarm(fn, 4)
  rig.clock.advance(1_000)
  for (let i = 0; i < 6; i++) rig.call(fn, 100)
  assert.deepEqual(rig.scheduler.counts, { running: 2, waiting: 4 })
  assert.equal(rig.scheduler.pool('f')?.hasIdleToSpare, false)
  rig.clock.advance(100)
  assert.deepEqual(rig.scheduler.counts, { running: 2, waiting: 2 })
  rig.clock.advance(200)
  assert.equal(rig.scheduler.pool('f')?.hasIdleToSpare, true)
})

test('a function that fails now and then backs off all the same, and is forgotten a minute later', () => {
  const rig = new SchedulerRig({ startMs: () => -50 })
  for (let i = 0; i < 4; i++) {
    rig.call(makeWorkload(), 10)
    rig.clock.advance(5_000)
  }
  assert.equal(rig.scheduler.pool('f')?.failures.count, 4)
  rig.clock.advance(60_000)
  assert.equal(rig.scheduler.pool('f'), undefined)
})

test('a start beside the busy container of an older version is needed for the deploy', () => {
  const rig = new SchedulerRig()
  rig.call(makeWorkload(), 10_000)
  rig.clock.advance(200)
  rig.call(makeWorkload({ version: '2' }), 10)
  rig.clock.advance(200)
  assert.deepEqual(reasons(rig), ['first', 'deploy'])
  assert.equal(rig.scheduler.counts.running, 1, 'the older one runs on')
})
