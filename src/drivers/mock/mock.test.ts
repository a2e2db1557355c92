import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { systemClock, virtualClock } from '../../core/clock.ts'
import { seededRandom } from '../../core/random.ts'
import { call, complete, never, specOf } from '../contract/support.ts'
import type { Driver, Stat } from '../driver.ts'
import { type MockOptions, mockDriver } from './mock.ts'

const make = (options: Partial<MockOptions> = {}) =>
  mockDriver({ clock: systemClock, random: seededRandom(1), ...options })

const start = async (driver: Driver, changes = {}) =>
  (await driver.prepare(specOf('echo', changes), never)).run(never)

test('row 66: the hundredth run of the mock driver fails as in 2017, the 99 before it succeed', async () => {
  await using driver = make({ failEvery: 100 })
  const failures: number[] = []
  for (let run = 1; run <= 200; run++) {
    await using cookie = await driver.prepare(specOf('echo', { mode: 'cold' }), never)
    await cookie.run(never).catch((error) => {
      assert.deepEqual([error.name, error.message], ['DriverError', 'Mocker error! Bad.'])
      failures.push(run)
    })
  }
  assert.deepEqual(failures, [100, 200])
})

test('preparing and starting take as long as told', async () => {
  const clock = virtualClock()
  await using driver = make({ clock, prepareMs: 100, startMs: () => 50 })
  const steps: string[] = []
  const preparing = driver.prepare(specOf('echo'), never).then((cookie) => {
    steps.push(`prepared at ${clock.now()}`)
    return cookie
  })
  clock.advance(100)
  const cookie = await preparing
  const running = cookie.run(never)
  clock.advance(50)
  await running
  steps.push(`ran at ${clock.now()}`)
  assert.deepEqual(steps, ['prepared at 100', 'ran at 150'])
})

test('a call takes as long as told for it, on the clock', async () => {
  const clock = virtualClock()
  await using driver = make({ clock, callMs: ({ body }) => Number(body) })
  const container = await start(driver)
  let answered = false
  const answer = call(container, '1000').finally(() => {
    answered = true
  })
  await until('the answer', () => {
    clock.advance(1)
    return answered
  })
  assert.equal((await answer).body, '1000')
  assert.ok(clock.now() >= 1_000)
})

test('the same seed gives the same latencies', async () => {
  const latencies = async () => {
    const seen: number[] = []
    const startMs: MockOptions['startMs'] = (random) => {
      seen.push(random())
      return 0
    }
    await using driver = make({ startMs })
    for (let i = 0; i < 3; i++) await start(driver)
    return seen
  }
  const first = await latencies()
  assert.equal(new Set(first).size, 3)
  assert.deepEqual(await latencies(), first)
})

test('a call is answered as told', async () => {
  await using driver = make({
    answer: ({ spec, headers }) => ({
      status: 502,
      headers: { 'x-fn': spec.env['FN_FN_NAME'] ?? '' },
      body: `${headers['fn-call-id']}`,
    }),
  })
  const { status, headers, body } = await call(await start(driver), '', { 'Fn-Call-Id': 'c1' })
  assert.deepEqual([status, headers['x-fn'], body], [502, 'echo', 'c1'])
})

test('a paused container does not answer', async () => {
  await using driver = make({ callMs: () => called.resolve() ?? 0 })
  const called = Promise.withResolvers<void>()
  const container = await start(driver)
  await container.pause(never)
  let answered = false
  const answer = call(container).finally(() => {
    answered = true
  })
  await called.promise
  const other = await start(driver)
  await call(other)
  assert.equal(answered, false)
  await container.resume(never)
  await answer
})

test('stopping a container breaks the call that it serves', async () => {
  const called = Promise.withResolvers<void>()
  await using driver = make({ clock: virtualClock(), callMs: () => called.resolve() ?? 1_000 })
  const container = await start(driver)
  const answer = assert.rejects(call(container), { code: 'ECONNRESET' })
  await called.promise
  await container.stop('killed')
  await answer
})

test('a cold container that runs too long is stopped', async () => {
  const clock = virtualClock()
  await using driver = make({ clock })
  const container = await start(driver, { mode: 'cold', timeout: 500 })
  clock.advance(500)
  assert.equal((await container.ended).status, 'timeout')
})

test('a cold container hands a large input on', async () => {
  await using driver = make()
  const { result, stdout } = await complete(await start(driver, { mode: 'cold' }), 'x'.repeat(300_000))
  assert.deepEqual([result.status, stdout.length], ['success', 300_000])
})

test('it reports a sample a second until its end', async () => {
  const clock = virtualClock()
  await using driver = make({ clock })
  const container = await start(driver)
  const samples: Stat[] = []
  for await (const sample of container.stats(never)) {
    samples.push(sample)
    if (samples.length === 3) await container.stop('killed')
    else setImmediate(() => clock.advance(1_000))
  }
  assert.deepEqual(
    samples.map(({ timestamp }) => timestamp.getTime()),
    [0, 1_000, 2_000],
  )
})
