import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkload, type RigCall, SchedulerRig } from '../../../test/support/scheduler-rig.ts'
import { totalWait } from '../../core/headers.ts'

const MIB = 1024 * 1024
const memory = (mib: number) => ({ memory: mib * MIB, mcpus: 0 })
const waited = (call: RigCall) => totalWait(call.slot?.wait ?? assert.fail(`the call is ${call.outcome}`))

test('eviction takes the idle container that is worth least', () => {
  const rig = new SchedulerRig({ memory: 256 })
  const [busy, silent, comer] = ['busy', 'silent', 'comer'].map((key) => makeWorkload({ key }))
  assert.ok(busy && silent && comer)
  for (let i = 0; i < 10; i++) {
    rig.call(busy, 10)
    if (i === 0) rig.call(silent, 10)
    rig.clock.advance(500)
  }
  rig.call(comer, 10)
  rig.clock.advance(200)
  assert.equal(rig.scheduler.pool('silent')?.live ?? 0, 0)
  assert.equal(rig.scheduler.pool('busy')?.live, 1)
  rig.call(silent, 10)
  rig.clock.advance(0)
  assert.deepEqual([rig.starts.at(-1)?.reason, rig.starts.at(-1)?.evictedFor], ['evicted', 'comer'])
})

test('a burst of one app raises only its own wait', () => {
  const rig = new SchedulerRig({ memory: 4 * 128 })
  const quiet = makeWorkload({ key: 'quiet', owner: 'small' })
  const burst = makeWorkload({ key: 'burst', owner: 'large' })
  rig.call(quiet, 10)
  rig.clock.advance(200)
  for (let i = 0; i < 200; i++) rig.call(burst, 1_000)
  const waits: number[] = []
  for (let i = 0; i < 20; i++) {
    const call = rig.call(quiet, 10)
    rig.clock.advance(500)
    waits.push(waited(call))
  }
  assert.deepEqual(
    waits,
    Array.from({ length: 20 }, () => 0),
  )
})

test('an app that comes to a full node gets its share from the next container given up', () => {
  const rig = new SchedulerRig({ memory: 4 * 128 })
  for (let i = 0; i < 400; i++) rig.call(makeWorkload({ key: 'burst', owner: 'large' }), 100)
  rig.clock.advance(2_000)
  assert.equal(rig.scheduler.pool('burst')?.live, 4)
  const comer = rig.call(makeWorkload({ key: 'comer', owner: 'small' }), 10)
  rig.clock.advance(250)
  assert.equal(comer.outcome, 'done')
  assert.ok(waited(comer) <= 201, 'one call of the other app and its own start')
})

test('nobody starves: a function that needs half of a busy node gets it', () => {
  const rig = new SchedulerRig({ memory: 4 * 128 })
  const feed = (until: number) => {
    for (; rig.clock.now() < until; rig.clock.advance(20)) rig.call(makeWorkload({ key: 'small' }), 100)
  }
  feed(1_000)
  const large = rig.call(makeWorkload({ key: 'large', need: memory(256) }), 10)
  feed(4_000)
  assert.equal(large.outcome, 'done')
})

test('a call does not wait beside an idle container of another app until that has idled out', () => {
  const rig = new SchedulerRig({ memory: 2 * 128 })
  rig.call(makeWorkload({ key: 'long', owner: 'a' }), 600_000)
  rig.call(makeWorkload({ key: 'idle', owner: 'b' }), 10)
  rig.clock.advance(500)
  const first = rig.call(makeWorkload({ key: 'comer', owner: 'a' }), 600_000)
  rig.clock.advance(100)
  assert.equal(first.outcome, 'waiting', 'the other app uses its container in its usual rhythm')
  rig.clock.advance(1_500)
  assert.equal(first.outcome, 'running', 'it has none at all, and has waited long enough')
})

test('a function that could have more gets what another app has stopped using', () => {
  const rig = new SchedulerRig({ memory: 2 * 128 })
  rig.call(makeWorkload({ key: 'large', owner: 'a' }), 600_000)
  rig.call(makeWorkload({ key: 'idle', owner: 'b' }), 10)
  rig.clock.advance(500)
  const second = rig.call(makeWorkload({ key: 'large', owner: 'a' }), 10)
  rig.clock.advance(6_500)
  assert.equal(second.outcome, 'done', 'after five seconds, the usual gap of what was called once')
})

test('a container that serves many calls yields when the last has ended', () => {
  const rig = new SchedulerRig({ memory: 128 })
  const shared = makeWorkload({ key: 'shared', owner: 'a', concurrency: 4 })
  const feed = (until: number) => {
    for (; rig.clock.now() < until; rig.clock.advance(10)) rig.call(shared, 100)
  }
  feed(500)
  const other = rig.call(makeWorkload({ key: 'other', owner: 'b' }), 10)
  feed(3_000)
  assert.equal(other.outcome, 'done')
})

test('CPUs are promised no more than there are', () => {
  const rig = new SchedulerRig()
  const fn = makeWorkload({ need: { memory: 1, mcpus: 1_500 } })
  for (let i = 0; i < 5; i++) rig.call(fn, 5_000)
  rig.clock.advance(1_000)
  assert.equal(rig.scheduler.pool('f')?.live, 2)
  rig.check()
  const large = rig.call(makeWorkload({ key: 'large', need: { memory: 1, mcpus: 5_000 } }), 1)
  assert.equal(large.error?.code, 'too-big-for-node')
  assert.equal(large.error?.detail, "cpus = 5 exceeds the node's 4")
})

test('in one app the function that holds less starts first', () => {
  const rig = new SchedulerRig({ maxStarts: 1 })
  const large = makeWorkload({ key: 'large' })
  rig.scheduler.prewarm(large, 2)
  rig.clock.advance(500)
  for (let i = 0; i < 2; i++) rig.call(large, 60_000)
  rig.clock.advance(5_000)
  rig.call(makeWorkload({ key: 'third' }), 10)
  rig.call(large, 10)
  rig.call(makeWorkload({ key: 'small' }), 10)
  rig.clock.advance(150)
  assert.equal(rig.starts.at(-1)?.pool.workload.key, 'small')
  rig.clock.advance(100)
  assert.equal(rig.starts.at(-1)?.pool.workload.key, 'large')
})

test('a function whose starts fail comes after those that start well', () => {
  let isBroken = false
  const rig = new SchedulerRig({
    maxStarts: 1,
    startMs: ({ pool }) => (pool.workload.key === 'broken' && isBroken ? -100 : 100),
  })
  const broken = makeWorkload({ key: 'broken', owner: 'a' })
  rig.call(broken, 600_000)
  rig.clock.advance(200)
  isBroken = true
  // It lives, so its calls wait, and more starts are tried again and again.
  for (let i = 0; i < 3; i++) rig.call(broken, 10)
  rig.clock.advance(3_000)
  assert.ok((rig.scheduler.pool('broken')?.failures.count ?? 0) > 1)
  const healthy = makeWorkload({ key: 'healthy', owner: 'b' })
  for (let i = 0; i < 3; i++) rig.call(healthy, 60_000)
  rig.clock.advance(1_500)
  assert.equal(rig.scheduler.pool('healthy')?.live, 3)
})

test('busy containers are given up for others only beyond min_warm', () => {
  const rig = new SchedulerRig({ memory: 2 * 128 })
  const feed = (until: number) => {
    for (; rig.clock.now() < until; rig.clock.advance(20))
      rig.call(makeWorkload({ key: 'warm', owner: 'a', minWarm: 1 }), 100)
  }
  feed(1_000)
  const comer = rig.call(makeWorkload({ key: 'comer', owner: 'b' }), 5_000)
  feed(3_000)
  assert.equal(comer.outcome, 'running')
  const second = rig.call(makeWorkload({ key: 'second', owner: 'c' }), 10)
  feed(5_000)
  assert.equal(second.outcome, 'waiting', 'one is warm, one belongs to the comer')
  assert.equal(rig.scheduler.pool('warm')?.live, 1)
})

test('no more is evicted than is needed, and nobody overtakes who waits for what is coming back', () => {
  const rig = new SchedulerRig({ memory: 4 * 128, stopMs: 500 })
  for (const key of 'abcd') rig.call(makeWorkload({ key }), 10)
  rig.clock.advance(10_000)
  const first = rig.call(makeWorkload({ key: 'first' }), 10)
  assert.equal(rig.stopped.size, 1)
  rig.clock.advance(100)
  rig.call(makeWorkload({ key: 'first' }), 10)
  const small = rig.call(makeWorkload({ key: 'small', need: memory(64) }), 10)
  assert.equal(rig.stopped.size, 1)
  rig.clock.advance(400)
  assert.equal(rig.starts.at(-1)?.pool.workload.key, 'first')
  rig.clock.advance(2_000)
  assert.deepEqual([first.outcome, small.outcome], ['done', 'done'])
})

test('an order ahead of calls is for the room there is', () => {
  const rig = new SchedulerRig({ memory: 2 * 128 })
  const busy = rig.call(makeWorkload({ key: 'busy' }), 5_000)
  rig.clock.advance(200)
  rig.scheduler.prewarm(makeWorkload({ key: 'ahead' }), 2)
  rig.clock.advance(300)
  assert.equal(rig.scheduler.pool('ahead')?.idle, 1)
  rig.clock.advance(60_000)
  assert.equal(busy.outcome, 'done')
  assert.equal(rig.starts.filter(({ reason }) => reason === 'prewarm').length, 1)
})
