import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { makeApp, makeFn } from '../../test/support/definitions.ts'
import { type FixedDriver, fixedDriver } from '../../test/support/fixed-driver.ts'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'
import { systemClock } from '../core/clock.ts'
import { idMaker } from '../core/ids.ts'
import { silentLogger } from '../core/logger.ts'
import { systemRandom } from '../core/random.ts'
import type { Fn } from '../core/words.ts'
import { DriverError } from '../drivers/driver.ts'
import { Runner } from '../runner/runner.ts'
import { sqliteStore } from '../store/sqlite/sqlite.ts'
import { Call } from './call.ts'
import type { CallRecord } from './call-record.ts'
import type { CallContext, CallRequest } from './call-request.ts'
import { Definitions } from './definitions.ts'

interface Rig {
  readonly driver: FixedDriver
  readonly context: CallContext
  readonly records: CallRecord[]
  /** Runs one call to its end. */
  run(over?: Partial<CallRequest>): Promise<{ readonly text: string; readonly record: CallRecord }>
  begin(over?: Partial<CallRequest>): Call
}

/** A runner and definitions, without any server: the function says what it was sent. */
async function rig(t: TestContext, fn: Partial<Fn> = {}, maxRequestSize = 0): Promise<Rig> {
  const undo = new AsyncDisposableStack()
  t.after(() => undo.disposeAsync())
  const temp = undo.use(await tempDir())
  const server = createServer(async (req, res) => {
    let body = ''
    for await (const chunk of req) body += chunk
    if (body === 'wait') return
    res.writeHead(body === 'fail' ? 502 : 200, { 'Fn-Http-Status': '201' })
    res.end(`${req.headers['x-own']} ${body}`)
  })
  const socket = join(temp.path, 'fn.sock')
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  undo.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const store = undo.use(await sqliteStore({ file: join(temp.path, 'store.db') }))
  await store.apps.insert(makeApp())
  await store.fns.insert(makeFn(fn))
  const driver = fixedDriver(socket)
  const clock = systemClock
  const makeId = idMaker(clock, systemRandom)
  const runner = undo.use(
    new Runner({
      driver,
      clock,
      log: silentLogger,
      sink: { write: () => {} },
      makeId,
      total: { memory: 1024 ** 3, mcpus: 4_000 },
      fetch: async () => ({ kind: 'image', ref: 'x' }),
    }),
  )
  const definitions = undo.use(new Definitions(store, clock, () => {}))
  const records: CallRecord[] = []
  const context: CallContext = {
    clock,
    definitions,
    runner,
    maxRequestSize,
    observers: [{ begin: () => ({ end: (record) => void records.push(record) }) }],
  }
  const begin = (over: Partial<CallRequest> = {}, said: Buffer[] = []) => {
    const request: CallRequest = {
      id: makeId(),
      path: '/invoke/FN',
      headers: () => ['X-Own', 'mine'],
      body: Buffer.from('hello'),
      ...over,
    }
    const call = new Call(context, request, {
      head: () => {},
      data: (chunk) => said.push(chunk) > 0,
      end: () => {},
      fail: (error) => error.status,
    })
    call.start()
    return call
  }
  const run = async (over: Partial<CallRequest> = {}) => {
    const said: Buffer[] = []
    const { id } = begin(over, said)
    const record = await until('the call to end', () => records.find((one) => one.id === id))
    return { text: Buffer.concat(said).toString(), record }
  }
  return { driver, context, records, run, begin }
}

test('a call runs without any HTTP, and ends in one record', async (t) => {
  const { run, records } = await rig(t)
  const first = await run()
  assert.equal(first.text, 'mine hello')
  const { record } = first
  assert.deepEqual(
    [record.status, record.error, record.attempt, record.bytesIn, record.bytesOut],
    [200, undefined, 1, 5, 10],
  )
  assert.equal(record.resolved?.definition.fn.id, 'FN')
  assert.deepEqual([record.slot?.cold, record.slot?.why], [true, 'first'])
  assert.ok((record.run as number) > 0)
  const second = await run({ attempt: 2, body: Readable.from([Buffer.from('a'), Buffer.from('bc')]) })
  assert.equal(second.text, 'mine abc')
  assert.deepEqual([second.record.attempt, second.record.bytesIn, second.record.slot?.cold], [2, 3, false])
  assert.equal(second.record.slot?.container, record.slot?.container)
  assert.equal(records.length, 2)
})

test('what fails ends in one record too, whatever it was', async (t) => {
  const { run, records, driver } = await rig(t, {}, 4)
  const past = systemClock.now() - 1
  const codeOf = async (over: Partial<CallRequest>) => (await run(over)).record.error?.code
  assert.equal(await codeOf({ path: '/invoke/none' }), 'not-found')
  assert.equal(await codeOf({ path: '/t/' }), 'path-not-found')
  assert.equal(await codeOf({ warmOnly: true }), 'refused')
  assert.equal(await codeOf({ signal: AbortSignal.abort() }), 'client-gone')
  assert.equal(await codeOf({ body: Buffer.from('fail') }), 'function-failed')
  assert.equal(await codeOf({ body: Readable.from([Buffer.from('too long')]) }), 'too-large')
  assert.equal(await codeOf({ deadline: past }), 'deadline-passed')
  driver.fails = { prepare: new DriverError('engine-gone', 'x') }
  assert.equal(await codeOf({}), 'engine-gone')
  assert.equal(new Set(records.map(({ id }) => id)).size, records.length)
  driver.fails = {}
})

test('a caller who leaves ends the call once, while it waits and while it runs', async (t) => {
  const { begin, records } = await rig(t, { max_concurrency: 1, max_wait: 300 })
  const leaving = new AbortController()
  const running = begin({ body: Buffer.from('wait'), signal: leaving.signal })
  await until('the call to run', () => running.ran !== undefined)
  const waiting = begin()
  waiting.leave()
  leaving.abort()
  await until('both to end', () => records.length === 2)
  running.leave()
  assert.deepEqual(
    records.map(({ error }) => error?.code),
    ['client-gone', 'client-gone'],
  )
  assert.deepEqual(records.map(({ slot }) => slot !== undefined).sort(), [false, true])
})

test('a start that fails is no time in the queue', async (t) => {
  const { run, driver } = await rig(t)
  driver.fails = { run: new DriverError('unavailable', 'x') }
  const { wait, slot } = (await run()).record
  assert.equal(slot, undefined)
  assert.ok(wait.start > 0 && wait.fetch > 0, JSON.stringify(wait))
  driver.fails = {}
})

test('a past deadline has one answer, whether the function is idle, busy or cold', async (t) => {
  const { run, begin } = await rig(t, { max_concurrency: 1 })
  const past = { deadline: systemClock.now() - 60_000 }
  const answer = async () => {
    const { error, status, slot } = (await run(past)).record
    return [error?.code, status, error?.detail, slot]
  }
  const cold = await answer()
  assert.deepEqual(cold.slice(0, 2), ['deadline-passed', 504])
  await run()
  assert.deepEqual(await answer(), cold, 'idle')
  const busy = begin({ body: Buffer.from('wait') })
  await until('the call to run', () => busy.ran !== undefined)
  assert.deepEqual(await answer(), cold, 'busy')
  busy.leave()
})
