import assert from 'node:assert/strict'
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { makeRequest, Recorder } from '../../../test/support/stdio-rig.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { seededRandom } from '../../core/random.ts'
import { connectHttpStream } from './http-stream.ts'

/** As the bootstrap does, for the servers of this process. */
const { answerInTurn } = createRequire(import.meta.url)('../../fdk/turn.cjs') as { answerInTurn: () => void }
answerInTurn()

interface Rig {
  /** Connections that were made. */
  readonly connections: () => number
  /** How often the container was called broken. */
  readonly broken: () => number
  /** Runs one call; its answer as a text, or how it failed. */
  readonly call: (name: string) => Promise<string>
}

async function setUp(t: TestContext, server: Server, over: { keeps?: boolean } = {}): Promise<Rig> {
  const temp = await tempDir()
  const socket = join(temp.path, 'fn.sock')
  let [connections, broken] = [0, 0]
  const outer = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (connection) => {
    connections++
    open.add(connection)
    connection.on('error', () => {})
    server.emit('connection', connection)
    connection.resume()
  })
  const open = new Set<Socket>()
  await new Promise<void>((resolve) => outer.listen(socket, resolve))
  const connection = connectHttpStream({
    id: 'CONTAINER',
    socket,
    concurrency: 1,
    maxHeadSize: 1024 * 1024,
    keeps: false,
    broken: () => broken++,
    ...over,
  })
  t.after(async () => {
    await connection.close()
    for (const one of open) one.destroy()
    await new Promise((resolve) => outer.close(resolve))
    await temp[Symbol.asyncDispose]()
  })
  return {
    connections: () => connections,
    broken: () => broken,
    async call(name) {
      const recorder = new Recorder()
      connection.exchange(makeRequest({ headers: ['X-Name', name] }), recorder, recorder)
      await recorder.settlement
      return recorder.failure ?? recorder.body
    },
  }
}

const nameOf = (req: IncomingMessage) => String(req.headers['x-name'])
const answer = (name: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`
/** By an HTTP server, which ties answers to requests. */
const bound = () => createHttpServer((req, res) => res.end(nameOf(req)))
/** By hand: whatever is written counts. */
const unbound = () => createHttpServer((req) => req.socket.write(answer(nameOf(req))))

async function callMany({ call }: Rig, count: number): Promise<string[]> {
  const strange: string[] = []
  for (let i = 0; i < count; i++) {
    const seen = await call(`call ${i}`)
    if (seen !== `call ${i}`) strange.push(seen)
  }
  return strange
}

test('a program that proves whose its answers are keeps its connection after the first call', async (t) => {
  const rig = await setUp(t, bound())
  assert.deepEqual([await callMany(rig, 50), rig.connections(), rig.broken()], [[], 2, 0])
})

test('a program that proves nothing gets a connection for each call', async (t) => {
  const rig = await setUp(t, unbound())
  assert.deepEqual([await callMany(rig, 50), rig.connections(), rig.broken()], [[], 50, 0])
})

test('a program that repeats every header it hears proves nothing by that', async (t) => {
  const mirror = createHttpServer((req) => {
    const lines = []
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`)
    const head = lines.filter((line) => !/^(connection|content-length|host)/i.test(line)).join('\r\n')
    req.socket.write(answer(nameOf(req)).replace('Content', `${head}\r\nContent`))
  })
  const rig = await setUp(t, mirror)
  assert.deepEqual([await callMany(rig, 50), rig.connections()], [[], 50])
})

test('connections are kept to a program whose owner vouches for it', async (t) => {
  const rig = await setUp(t, unbound(), { keeps: true })
  assert.deepEqual([await callMany(rig, 50), rig.connections()], [[], 1])
})

/** Says it all once more after some turns, which may be in another call's time. */
function sayLate(socket: Socket, bytes: string, turns: number): void {
  if (turns > 0) setImmediate(() => sayLate(socket, bytes, turns - 1))
  else if (!socket.destroyed) socket.write(bytes)
}

test('of 3,000 calls to a program that says everything twice, the second time late, none gets another answer than its own', async (t) => {
  const random = seededRandom(1)
  const twice = createHttpServer((req) => {
    const bytes = answer(nameOf(req))
    req.socket.write(bytes)
    sayLate(req.socket, bytes, Math.floor(random() * 8))
  })
  const rig = await setUp(t, twice)
  assert.deepEqual([await callMany(rig, 3_000), rig.broken()], [[], 0])
})

test('late bytes of one call never complete the answer of another', async (t) => {
  const random = seededRandom(2)
  let served = 0
  const halves = createHttpServer((req) => {
    const bytes = answer(nameOf(req))
    // Every other answer breaks off in its body, and its connection is closed late.
    const cut = served++ % 2 === 1
    req.socket.write(cut ? bytes.slice(0, -3) : bytes)
    if (cut) setImmediate(() => req.socket.end())
    else sayLate(req.socket, 'XYZ', Math.floor(random() * 8))
  })
  const rig = await setUp(t, halves)
  for (let i = 0; i < 1_000; i++) {
    const seen = await rig.call(`call ${i}`)
    assert.equal(seen, i % 2 === 1 ? 'no-response: explained' : `call ${i}`)
  }
})

test('where a connection is kept, an answer by hand that comes late is none of the next call', async (t) => {
  let served = 0
  const mixed = createHttpServer((req, res) => {
    // A proof for its own call, then a second answer in the time of the next, which would be first.
    if (++served === 5) req.socket.once('data', () => req.socket.write(answer('call of another')))
    if (served !== 6) res.end(nameOf(req))
  })
  const rig = await setUp(t, mixed)
  const seen: string[] = []
  for (let i = 1; i <= 6; i++) {
    seen.push(await rig.call(`call ${i}`))
    await turn()
  }
  assert.deepEqual(
    seen.slice(0, 5),
    [1, 2, 3, 4, 5].map((i) => `call ${i}`),
  )
  assert.match(seen[5] as string, /^(invalid-response|no-response): /)
})
