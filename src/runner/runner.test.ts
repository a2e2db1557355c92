import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeDefinition } from '../../test/support/definitions.ts'
import { call, never, runIn, setUp } from '../../test/support/runner-rig.ts'
import { until } from '../../test/support/until.ts'
import type { VirtualClock } from '../core/clock.ts'
import { totalWait } from '../core/headers.ts'
import { DriverError } from '../drivers/driver.ts'
import type { Definition } from './definition.ts'
import type { Slot } from './runner.ts'

const MIB = 1024 * 1024

test('a second call takes the container of the first, and does not wait', async (t) => {
  const { runner, clock, prepared } = setUp(t)
  const fn = makeDefinition()
  const first = await call(runner, fn, clock.now(), 'one')
  assert.equal(first.body, 'one')
  assert.ok(first.slot.cold)
  const slot = runner.tryAcquire(fn, clock.now())
  assert.ok(slot && !slot.cold)
  assert.equal(totalWait(slot.wait), 0)
  assert.equal((await runIn(runner, slot, 'two').answer).body, 'two')
  assert.equal(prepared(), 1)
})

test('the first call waits for fetch and start, each on its own clock', async (t) => {
  const clock = { current: undefined as VirtualClock | undefined }
  const { promise: fetching, resolve: fetched } = Promise.withResolvers<void>()
  const setup = setUp(
    t,
    { prepareMs: 10, startMs: 20 },
    {
      fetch: async (ref) => {
        await fetching
        return { kind: 'image', ref }
      },
    },
  )
  clock.current = setup.clock
  const acquiring = setup.runner.acquire({ definition: makeDefinition(), arrived: 0 }, never)
  setup.clock.advance(30)
  fetched()
  for (let i = 0; i < 30; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (i % 10 === 9) setup.clock.advance(10)
  }
  const slot = await acquiring
  assert.deepEqual(slot.wait, { queue: 0, start: 30, fetch: 30 })
  setup.runner.release(slot)
})

test('ten first calls start at most ten containers, and later calls none', async (t) => {
  const { runner, clock, prepared } = setUp(t)
  const fn = makeDefinition()
  await Promise.all(Array.from({ length: 10 }, (_, i) => call(runner, fn, clock.now(), `call ${i}`)))
  const started = prepared()
  assert.ok(started <= 10)
  await Promise.all(Array.from({ length: started }, () => call(runner, fn, clock.now(), 'again')))
  assert.equal(prepared(), started)
})

test('no more containers are started at once than the gate lets through', async (t) => {
  const { runner, clock, prepared } = setUp(t, { startMs: 10 }, { maxStarts: 2 })
  const calls = Array.from({ length: 6 }, (_, i) => call(runner, makeDefinition({ id: `FN${i}` }), 0, 'x'))
  await until('the first two starts', () => prepared() === 2)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(prepared(), 2)
  const all = Promise.all(calls)
  await until('all calls', async () => {
    clock.advance(10)
    return Promise.race([all.then(() => true), new Promise((resolve) => setImmediate(() => resolve(false)))])
  })
})

test('calls beyond max_concurrency wait their turn, first in, first out', async (t) => {
  const { runner, clock } = setUp(t)
  const fn = makeDefinition({ max_concurrency: 1 })
  const running = await runner.acquire({ definition: fn, arrived: 0 }, never)
  const order: number[] = []
  const waiting = [1, 2, 3].map((n) =>
    runner.acquire({ definition: fn, arrived: clock.now() }, never).then((slot) => {
      order.push(n)
      runner.release(slot)
      return slot
    }),
  )
  assert.equal(runner.tryAcquire(fn, 0), undefined)
  assert.deepEqual([runner.load.run, runner.load.queue], [1, 3])
  clock.advance(500)
  runner.release(running)
  const slots = await Promise.all(waiting)
  assert.deepEqual(order, [1, 2, 3])
  assert.deepEqual(slots[0]?.wait, { queue: 500, start: 0, fetch: 0 })
  assert.deepEqual([runner.load.run, runner.load.queue], [0, 0])
})

test('a call that has waited max_wait is refused, and the queue goes on without it', async (t) => {
  const { runner, clock } = setUp(t)
  const fn = makeDefinition({ max_concurrency: 1, max_wait: 2 })
  const running = await runner.acquire({ definition: fn, arrived: 0 }, never)
  const late = runner.acquire({ definition: fn, arrived: 0 }, never)
  clock.advance(2_000)
  await assert.rejects(late, { code: 'busy', detail: 'waited max_wait = 2 s for a slot' })
  runner.release(running)
  assert.ok(runner.tryAcquire(fn, clock.now()))
})

test('a caller who leaves the queue takes no slot', async (t) => {
  const { runner } = setUp(t)
  const fn = makeDefinition({ max_concurrency: 1 })
  const running = await runner.acquire({ definition: fn, arrived: 0 }, never)
  const leave = new AbortController()
  const leaving = runner.acquire({ definition: fn, arrived: 0 }, leave.signal)
  leave.abort()
  await assert.rejects(leaving, { code: 'client-gone' })
  runner.release(running)
  assert.deepEqual([runner.load.run, runner.load.queue], [0, 0])
  assert.equal(runner.idle('FN'), 1)
})

test('a call that times out ends its container, and the next call gets its own answer', async (t) => {
  const { runner, clock, prepared } = setUp(t, {
    callMs: ({ body }) => (String(body) === 'slow' ? 60_000 : 0),
  })
  const fn = makeDefinition({ timeout: 1 })
  const slow = call(runner, fn, 0, 'slow')
  await until('the call to run', () => runner.load.run === 1)
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(1_000)
  assert.equal((await slow).error?.code, 'timed-out')
  assert.equal((await call(runner, fn, clock.now(), 'own')).body, 'own')
  assert.equal(prepared(), 2)
})

test('what a function answers decides the outcome and the fate of its container', async (t) => {
  const { runner, clock, prepared } = setUp(t, {
    answer: ({ body }) => ({ status: Number(body), body: 'not for the caller' }),
  })
  const fn = makeDefinition()
  const codes: unknown[] = []
  const containers: number[] = []
  for (const status of [200, 502, 504, 500, 404, 302]) {
    const { error } = await call(runner, fn, clock.now(), String(status))
    codes.push(error?.code)
    containers.push(prepared())
  }
  assert.deepEqual(codes, [
    undefined,
    'function-failed',
    'timed-out',
    'invalid-response',
    'invalid-response',
    'invalid-response',
  ])
  assert.deepEqual(containers, [1, 1, 1, 1, 2, 3])
})

test('an answer beyond the limit is refused and its container kept', async (t) => {
  const { runner, clock, prepared } = setUp(t, {}, { maxResponseSize: 10 })
  const fn = makeDefinition()
  const big = await call(runner, fn, clock.now(), 'more than ten bytes')
  assert.equal(big.error?.code, 'response-too-large')
  assert.equal((await call(runner, fn, clock.now(), 'short')).body, 'short')
  assert.equal(prepared(), 1)
})

test('the calls that waited for a start that failed hear why, and the next call tries again', async (t) => {
  const { runner, clock, driver } = setUp(t)
  const broken = new Error('boom')
  const prepare = driver.prepare
  driver.prepare = async () => {
    throw new DriverError('bad-spec', 'Failed to create container', { cause: broken })
  }
  const fn = makeDefinition()
  await assert.rejects(runner.acquire({ definition: fn, arrived: 0 }, never), {
    code: 'init-failed',
    detail: 'Failed to create container',
  })
  driver.prepare = prepare
  assert.equal((await call(runner, fn, clock.now(), 'ok')).body, 'ok')
  assert.deepEqual([runner.load.run, runner.load.queue], [0, 0])
})

test('a function that needs more than the node has is refused at once', async (t) => {
  const { runner } = setUp(t, {}, { total: { memory: 100 * MIB, mcpus: 4_000 } })
  await assert.rejects(runner.acquire({ definition: makeDefinition({ memory: 128 }), arrived: 0 }, never), {
    code: 'too-big-for-node',
  })
})

test('row 43: with a budget for two, the third call waits until a container ends', async (t) => {
  const { runner, clock, prepared } = setUp(t, {}, { total: { memory: 256 * MIB, mcpus: 4_000 } })
  const fns = ['A', 'B', 'C'].map((id) => makeDefinition({ id }))
  const [a, b] = await Promise.all(
    fns.slice(0, 2).map((fn) => runner.acquire({ definition: fn, arrived: 0 }, never)),
  )
  const third = runner.acquire({ definition: fns[2] as Definition, arrived: 0 }, never)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(prepared(), 2)
  clock.advance(2_000)
  runner.release(a as Slot)
  const slot = await third
  assert.equal(totalWait(slot.wait), 2_000)
  assert.equal(runner.idle('A'), 0)
  assert.ok(runner.resources.used.memory <= runner.resources.total.memory)
  runner.release(slot)
  runner.release(b as Slot)
})

test('an idle container is gone after its idle_timeout, and its memory is given back', async (t) => {
  const { runner, clock } = setUp(t)
  await call(runner, makeDefinition({ idle_timeout: 2 }), 0, 'x')
  clock.advance(1_900)
  assert.equal(runner.idle('FN'), 1)
  clock.advance(500)
  assert.equal(runner.idle('FN'), 0)
  await until('the memory', () => runner.resources.used.memory === 0)
})

test('a changed function gets new containers, and the old ones go', async (t) => {
  const { runner, clock, prepared } = setUp(t)
  await call(runner, makeDefinition(), 0, 'x')
  const changed = makeDefinition({ updated_at: '2026-01-02T00:00:00.000Z' })
  assert.ok((await call(runner, changed, clock.now(), 'y')).slot.cold)
  assert.equal(prepared(), 2)
  await until('the old container', () => runner.resources.used.memory === 128 * MIB)
})

test('one container serves as many calls at once as its function allows', async (t) => {
  const { runner, prepared } = setUp(t)
  const fn = makeDefinition({ concurrency: 3 })
  const slots = await Promise.all([1, 2, 3].map(() => runner.acquire({ definition: fn, arrived: 0 }, never)))
  assert.equal(prepared(), 1)
  assert.equal(new Set(slots.map(({ instance }) => instance)).size, 1)
  assert.equal(runner.tryAcquire(fn, 0), undefined)
  const answers = await Promise.all(slots.map((slot, i) => runIn(runner, slot, `call ${i}`).answer))
  assert.deepEqual(
    answers.map(({ body }) => body),
    ['call 0', 'call 1', 'call 2'],
  )
})

test('closing a runner refuses what waits and ends what runs', async (t) => {
  const { runner, clock } = setUp(t, { callMs: 60_000 })
  const fn = makeDefinition({ max_concurrency: 1 })
  const running = call(runner, fn, clock.now(), 'x')
  await until('the call to run', () => runner.load.run === 1)
  const waiting = runner.acquire({ definition: fn, arrived: 0 }, never)
  const refused = assert.rejects(waiting, { code: 'draining' })
  await runner[Symbol.asyncDispose]()
  await refused
  assert.equal((await running).error?.code, 'no-response')
  await assert.rejects(runner.acquire({ definition: fn, arrived: 0 }, never), { code: 'draining' })
  assert.equal(runner.resources.used.memory, 0)
})
