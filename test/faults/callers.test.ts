import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { clean, type FaultRig, loadOf, scripted, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE } from '../support/node-rig.ts'
import { rawCaller, requestOf } from '../support/raw-caller.ts'
import { answer, SCRIPTED } from '../support/raw-function.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const OK = 'HTTP/1.1 200 OK\r\n'
const [[HEADER, VALUE] = []] = Object.entries(SCRIPTED)
const SCRIPT = `${HEADER}: ${VALUE}\r\n`

interface Held {
  readonly connection: Socket
  readonly request: IncomingMessage
}

/** A node whose function shows its next scripted call, and answers nothing by itself. */
async function setUp(t: TestContext): Promise<FaultRig & { readonly held: Promise<Held> }> {
  const rig = await setUpFaults(t, { fn: { annotations: { 'sluice/body': 'stream' } } })
  const { promise: held, resolve } = Promise.withResolvers<Held>()
  rig.fn.script = (connection, request) => resolve({ connection, request })
  return { ...rig, held }
}

const waiting = async (rig: FaultRig, calls: number) =>
  until(`${calls} calls to wait`, async () => (await loadOf(rig)).queue === calls)

/** That the call of a caller who left is over, its container gone, and that the next caller gets a new one. */
async function assertGone(rig: FaultRig, { connection }: Held): Promise<void> {
  await until('the connection to the function to be closed', () => !rig.fn.open.has(connection))
  await until('the container to be let go', () => rig.driver.stopped.length === 1)
  assert.equal(await clean(rig, 'next'), '200 own:next')
  assert.equal(rig.driver.started, 2)
  await rig.end()
}

test('callers who leave the queue use up nothing, and those behind them are served', async (t) => {
  const rig = await setUp(t)
  const running = scripted(rig)
  const { connection } = await rig.held
  const leaving = Array.from({ length: 5 }, () => rawCaller(rig.node, requestOf(INVOKE, 'gone', SCRIPT)))
  await waiting(rig, 5)
  const staying = clean(rig, 'staying')
  await waiting(rig, 6)
  let reached = 0
  rig.fn.script = () => reached++
  for (const { socket } of leaving) socket.destroy()
  await waiting(rig, 1)
  connection.write(answer('first'))
  assert.deepEqual([await running, await staying], ['200 first', '200 own:staying'])
  assert.deepEqual([reached, rig.driver.started, rig.driver.stopped.length], [0, 1, 0])
  await rig.end()
})

test('a caller who sent half a body and leaves the queue is forgotten', async (t) => {
  const rig = await setUp(t)
  const running = scripted(rig)
  const { connection } = await rig.held
  const leaving = rawCaller(rig.node, requestOf(INVOKE, 'x'.repeat(100), SCRIPT).slice(0, -50))
  await waiting(rig, 1)
  leaving.socket.destroy()
  await waiting(rig, 0)
  connection.write(answer('first'))
  assert.deepEqual([await running, rig.driver.stopped.length], ['200 first', 0])
  await rig.end()
})

test('a caller who leaves before the head of the answer ends its container, and the next call gets a new one', async (t) => {
  const rig = await setUp(t)
  const leaving = rawCaller(rig.node, requestOf(INVOKE, 'x', SCRIPT))
  const held = await rig.held
  leaving.socket.destroy()
  await assertGone(rig, held)
})

test('a caller who leaves in the middle of the answer ends its container', async (t) => {
  const rig = await setUp(t)
  const leaving = rawCaller(rig.node, requestOf(INVOKE, 'x', SCRIPT))
  const held = await rig.held
  held.connection.write(`${OK}Content-Length: 10\r\n\r\nhello`)
  await until('half the answer', () => leaving.seen().endsWith('hello'))
  leaving.socket.destroy()
  await assertGone(rig, held)
})

test('one who waited behind a caller who leaves gets a new container', async (t) => {
  const rig = await setUp(t)
  const leaving = rawCaller(rig.node, requestOf(INVOKE, 'x', SCRIPT))
  await rig.held
  const staying = clean(rig, 'staying')
  await waiting(rig, 1)
  leaving.socket.destroy()
  assert.equal(await staying, '200 own:staying')
  assert.deepEqual([rig.driver.started, rig.driver.stopped.length], [2, 1])
  await rig.end()
})

test('a caller who is told to send the body and leaves instead takes no container', async (t) => {
  const rig = await setUp(t)
  const asking = requestOf(INVOKE, 'hello', `${SCRIPT}Expect: 100-continue\r\n`).slice(0, -5)
  const leaving = rawCaller(rig.node, asking)
  await until('to be told to go on', () => leaving.seen() === 'HTTP/1.1 100 Continue\r\n\r\n')
  leaving.socket.destroy()
  assert.equal(await clean(rig, 'next'), '200 own:next')
  assert.deepEqual([rig.driver.started, rig.driver.stopped.length], [1, 0])
  await rig.end()
})

const halves: Readonly<Record<string, string>> = {
  'with a length': requestOf(INVOKE, 'x'.repeat(100), SCRIPT).slice(0, -50),
  'in chunks': `POST ${INVOKE} HTTP/1.1\r\nHost: h\r\n${SCRIPT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
}
for (const [how, half] of Object.entries(halves)) {
  for (const leave of ['destroy', 'end'] as const) {
    test(`half a body ${how} is no whole one for the function when its caller leaves by ${leave}`, async (t) => {
      const rig = await setUp(t)
      const leaving = rawCaller(rig.node, half)
      const held = await rig.held
      let ended = false
      held.request.on('end', () => {
        ended = true
      })
      const broken = once(held.request, 'error')
      await once(held.request.resume(), 'data')
      leaving.socket[leave]()
      await broken
      assert.ok(!ended, 'it saw an end')
      await assertGone(rig, held)
    })
  }
}

const SIZE = 64 * MIB

/** Writes {@link SIZE} bytes as fast as they are taken, and tells how many have been. */
function pour(socket: Socket): () => number {
  const piece = Buffer.alloc(64 * 1024, 'x')
  let written = 0
  const write = () => {
    while (written < SIZE) {
      written += piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', write)
  write()
  return () => written
}

/** Resolves when nothing has been written for a while; most of it must be unwritten still. */
async function assertHeldUp(written: () => number): Promise<void> {
  let last = -1
  let rounds = 0
  await until('the writing to stop', () => {
    rounds = written() === last ? rounds + 1 : 0
    last = written()
    return rounds >= 20
  })
  assert.ok(last < SIZE / 2, `${last} bytes are on the way`)
}

test('an answer waits for a slow caller: what is on the way is bounded, and nothing is lost', async (t) => {
  const rig = await setUp(t)
  const slow = rawCaller(rig.node, requestOf(INVOKE, 'x', SCRIPT))
  slow.socket.pause()
  const { connection } = await rig.held
  connection.write(`${OK}Content-Length: ${SIZE}\r\n\r\n`)
  await assertHeldUp(pour(connection))
  let read = 0
  slow.socket.on('data', (chunk) => {
    read += chunk.length
  })
  slow.socket.resume()
  await until('all of the answer', () => read >= SIZE, 20_000)
  assert.equal(read - (slow.seen().indexOf('\r\n\r\n') + 4), SIZE)
  slow.socket.destroy()
  assert.deepEqual(rig.driver.stopped, [])
  await rig.end()
})

test('a request waits for a slow function: what is on the way is bounded, and nothing is lost', async (t) => {
  const rig = await setUp(t)
  const head = `POST ${INVOKE} HTTP/1.1\r\nHost: h\r\n${SCRIPT}Content-Length: ${SIZE}\r\n\r\n`
  const sending = rawCaller(rig.node, head)
  const written = pour(sending.socket)
  const { connection, request } = await rig.held
  await assertHeldUp(written)
  let read = 0
  request.on('data', (chunk: Buffer) => {
    read += chunk.length
  })
  await once(request, 'end')
  assert.equal(read, SIZE)
  connection.write(answer('read'))
  await until('the answer', () => sending.seen().endsWith('read'))
  sending.socket.destroy()
  await rig.end()
})
