import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeWorkload, type RigCall, SchedulerRig } from '../../../test/support/scheduler-rig.ts'
import type { Workload } from './workload.ts'

const MIB = 1024 * 1024

const workload: fc.Arbitrary<Workload> = fc
  .record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    version: fc.constantFrom('1', '2'),
    large: fc.boolean(),
  })
  .map(({ key, version, large }) => {
    const odd = key.charCodeAt(0)
    return makeWorkload({
      key,
      version,
      owner: odd % 2 === 0 ? 'even' : 'odd',
      need: { memory: (large ? 256 : 128) * MIB, mcpus: key === 'c' ? 1_500 : 0 },
      concurrency: key === 'b' ? 3 : 1,
      maxConcurrency: key === 'd' ? 2 : 0,
      minWarm: key === 'e' ? 1 : 0,
      once: key === 'a' && version === '2',
      maxWait: 5_000,
      idleTimeout: 2_000,
    })
  })

type Event =
  | { readonly kind: 'call'; readonly workload: Workload; readonly serviceMs: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'leave' | 'crash'; readonly which: number }
  | { readonly kind: 'prewarm'; readonly workload: Workload; readonly count: number }
  | { readonly kind: 'retire'; readonly workload: Workload }

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      workload,
      serviceMs: fc.constantFrom(0, 1, 20, 300, 4_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 30, 400, 3_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('leave' as const, 'crash' as const), which: fc.nat() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('prewarm' as const),
      workload,
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('retire' as const), workload }) },
)

const nth = <T>(items: Iterable<T>, which: number): T | undefined => {
  const all = [...items]
  return all[which % Math.max(1, all.length)]
}

/** Plays a history; after every event what is promised is what there is, and no container has too many calls. */
function play(
  events: readonly Event[],
  startMs: readonly number[],
  stopMs: number,
): { rig: SchedulerRig; calls: RigCall[] } {
  let starts = 0
  const rig = new SchedulerRig({
    memory: 640,
    stopMs,
    startMs: () => startMs[starts++ % startMs.length] ?? 100,
  })
  const calls: RigCall[] = []
  for (const event of events) {
    if (event.kind === 'call') calls.push(rig.call(event.workload, event.serviceMs))
    else if (event.kind === 'wait') rig.clock.advance(event.ms)
    else if (event.kind === 'prewarm') rig.scheduler.prewarm(event.workload, event.count)
    else if (event.kind === 'retire') rig.scheduler.retire(event.workload)
    else if (event.kind === 'leave') {
      const call = nth(calls, event.which)
      if (call) rig.leave(call)
    } else {
      const instance = nth(rig.live, event.which)
      if (instance) rig.crash(instance)
    }
    rig.check()
  }
  return { rig, calls }
}

const history = fc.array(event, { minLength: 1, maxLength: 80 })
const startTimes = fc.array(fc.constantFrom(0, 50, 100, 100, 100, 700, -50, -2_000), {
  minLength: 1,
  maxLength: 6,
})
const stopTime = fc.constantFrom(0, 40)

test('whatever happens, no call is lost or answered twice, and room is conserved', () => {
  fc.assert(
    fc.property(history, startTimes, stopTime, (events, startMs, stopMs) => {
      const { rig, calls } = play(events, startMs, stopMs)
      rig.clock.advance(60_000)
      rig.check()
      for (const { outcome, told } of calls) {
        assert.ok(['done', 'refused', 'left'].includes(outcome), `a call is still ${outcome}`)
        assert.equal(told, outcome === 'left' ? 0 : 1)
      }
      assert.deepEqual(rig.scheduler.counts, { running: 0, waiting: 0 })
      rig.scheduler.close({ code: 'draining' } as RigCall['error'] & object)
      rig.clock.advance(10_000)
      assert.deepEqual(rig.scheduler.used, { memory: 0, mcpus: 0 })
      assert.equal(rig.live.size, 0)
    }),
    { numRuns: 1_000 },
  )
})

test('the calls of a function are served in the order in which they came', () => {
  fc.assert(
    fc.property(history, startTimes, (events, startMs) => {
      const { rig, calls } = play(events, startMs, 0)
      rig.clock.advance(60_000)
      const turn = new Map(calls.map((call, index) => [call, index]))
      const latest = new Map<unknown, number>()
      for (const call of rig.granted) {
        const pool = call.slot?.pool
        const index = turn.get(call) as number
        assert.ok(index > (latest.get(pool) ?? -1) || call.workload.once, 'a call was overtaken')
        latest.set(pool, index)
      }
    }),
    { numRuns: 500 },
  )
})

test('a burst of one function starts at most one container for every concurrency calls', () => {
  const burst = fc.record({
    calls: fc.integer({ min: 1, max: 60 }),
    concurrency: fc.integer({ min: 1, max: 8 }),
    serviceMs: fc.constantFrom(0, 5, 100, 5_000),
    startMs: fc.constantFrom(0, 10, 300),
    launch: fc.constantFrom('expected' as const, 'per-call' as const),
  })
  fc.assert(
    fc.property(burst, ({ calls, concurrency, serviceMs, startMs, launch }) => {
      const rig = new SchedulerRig({ memory: 100_000, maxStarts: 100, startMs: () => startMs, launch })
      const fn = makeWorkload({ concurrency })
      const all = Array.from({ length: calls }, () => rig.call(fn, serviceMs))
      rig.clock.advance(29_000)
      assert.ok(all.every(({ outcome }) => outcome === 'done'))
      const most = Math.ceil(calls / concurrency)
      assert.ok(rig.starts.length <= most, `${rig.starts.length} started for ${calls} calls, at most ${most}`)
    }),
  )
})

test('nobody starves: on a node that others keep busy, a call of any function that fits gets its turn', () => {
  const scene = fc.record({
    own: fc.constantFrom(128, 256, 512),
    sameOwner: fc.boolean(),
    others: fc.integer({ min: 1, max: 6 }),
    serviceMs: fc.constantFrom(20, 200, 900),
  })
  fc.assert(
    fc.property(scene, ({ own, sameOwner, others, serviceMs }) => {
      const rig = new SchedulerRig({ memory: 512 })
      const feed = (until: number) => {
        for (; rig.clock.now() < until; rig.clock.advance(serviceMs / 2)) {
          for (let i = 0; i < others; i++)
            for (let n = 0; n < 3; n++)
              rig.call(makeWorkload({ key: `other ${i}`, owner: `o${i % 2}`, maxWait: 5_000 }), serviceMs)
        }
      }
      feed(3_000)
      const fn = makeWorkload({
        key: 'own',
        owner: sameOwner ? 'o0' : 'own',
        need: { memory: own * MIB, mcpus: 0 },
      })
      const call = rig.call(fn, 10)
      feed(3_000 + 20_000)
      assert.equal(call.outcome, 'done', call.error?.detail ?? '')
    }),
    { numRuns: 40 },
  )
})

test('one history always leads to the same decisions', () => {
  fc.assert(
    fc.property(history, startTimes, stopTime, (events, startMs, stopMs) => {
      const trace = (): string[] => {
        const { rig } = play(events, startMs, stopMs)
        return [
          ...rig.starts.map(({ pool, began, reason }) => `${pool.workload.key} ${began} ${reason}`),
          ...rig.granted.map(({ arrived, slot }) => `${arrived} ${slot?.granted} ${slot?.instance.body}`),
        ]
      }
      assert.deepEqual(trace(), [...trace()])
    }),
    { numRuns: 50 },
  )
})
