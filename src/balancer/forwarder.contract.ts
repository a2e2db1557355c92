import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { listen } from '../host/listen.ts'
import { bodiesContract } from './bodies.contract.ts'
import type { Exchange, Forwarder, ForwardFailure, Receiver, RequestBody, RequestHead } from './forwarder.ts'

/** Milliseconds. */
interface Timeouts {
  readonly connectTimeout?: number
  readonly headTimeout?: number
  readonly idleTimeout?: number
}

const head: RequestHead = {
  method: 'POST',
  target: '/invoke/f?x=1',
  headers: ['Host', 'fn.example', 'X-Twice', '1', 'X-Twice', '2'],
}

/** What every way of moving bytes promises. */
export function forwarderContract(name: string, make: (timeouts: Timeouts) => Forwarder): void {
  describe(`forwarder: ${name}`, () => {
    test('the answer comes back as it was made', async () => {
      await using node = await server((req, res) => {
        res.writeHead(201, 'Made', ['X-Odd', 'a', 'x-odd', 'b'])
        res.end(
          `${req.method} ${req.url} ${req.headers.host} ${req.rawHeaders.filter((text) => text === 'X-Twice').length}`,
        )
      })
      await using forwarder = make({})
      const got = await exchange(forwarder, node.name, head)
      assert.deepEqual([got.status, got.reason], [201, 'Made'])
      assert.deepEqual(got.headers?.slice(0, 4), ['X-Odd', 'a', 'x-odd', 'b'])
      assert.equal(got.text, 'POST /invoke/f?x=1 fn.example 2')
    })

    for (const [kind, body] of [
      ['bytes', () => Buffer.from('hello')],
      ['a stream', () => Readable.from([Buffer.from('hel'), Buffer.from('lo')], { objectMode: false })],
      ['nothing', () => undefined],
    ] as const)
      test(`a body of ${kind} arrives`, async () => {
        await using node = await server((req, res) => void req.pipe(res))
        await using forwarder = make({})
        const got = await exchange(forwarder, node.name, head, body())
        assert.equal(got.text, kind === 'nothing' ? '' : 'hello')
      })

    test('a connection is used again', async () => {
      const ports = new Set<number | undefined>()
      await using node = await server((req, res) => {
        ports.add(req.socket.remotePort)
        res.end('x')
      })
      await using forwarder = make({})
      for (let i = 0; i < 10; i++) await exchange(forwarder, node.name, head)
      // A request that follows at once may find the first connection still busy with its end.
      assert.ok(ports.size <= 2, `${ports.size} connections`)
    })

    test('a node that nobody listens on fails as connect, and no stream was touched', async () => {
      const gone = await server(() => {})
      await gone[Symbol.asyncDispose]()
      await using forwarder = make({})
      const body = new Readable({ read: () => assert.fail('the body was read') })
      const got = await exchange(forwarder, gone.name, head, body)
      assert.equal(got.failure?.kind, 'connect')
    })

    test('a node that cannot be reached in time fails as connect-timeout', async () => {
      await using full = await fullServer()
      await using forwarder = make({ connectTimeout: 100 })
      assert.equal((await exchange(forwarder, full.name, head)).failure?.kind, 'connect-timeout')
    })

    test('a node that does not begin to answer in time fails as head-timeout', async () => {
      await using node = await server(() => {})
      await using forwarder = make({ headTimeout: 100 })
      assert.equal((await exchange(forwarder, node.name, head)).failure?.kind, 'head-timeout')
    })

    test('an answer that stands still for too long fails as idle-timeout', async () => {
      await using node = await server((_req, res) => void res.write('half'))
      await using forwarder = make({ idleTimeout: 100 })
      const got = await exchange(forwarder, node.name, head)
      assert.deepEqual([got.text, got.failure?.kind], ['half', 'idle-timeout'])
    })

    for (const [when, answer] of [
      ['before its answer', (req) => void req.socket.destroy()],
      [
        'in the middle of its answer',
        (req, res) => {
          res.setHeader('Content-Length', '9')
          res.write('half')
          setImmediate(() => req.socket.destroy())
        },
      ],
    ] as [string, RequestListener][])
      test(`a node that breaks off ${when} fails as lost`, async () => {
        await using node = await server(answer)
        await using forwarder = make({})
        assert.equal((await exchange(forwarder, node.name, head)).failure?.kind, 'lost')
      })

    test('what is no HTTP fails as lost', async () => {
      await using node = await tcpServer((socket) => socket.end('SSH-2.0\r\n'))
      await using forwarder = make({})
      assert.equal((await exchange(forwarder, node.name, head)).failure?.kind, 'lost')
    })

    test('a request that cannot be written fails as bad-request', async () => {
      await using node = await server((_req, res) => void res.end())
      await using forwarder = make({})
      const got = await exchange(forwarder, node.name, { ...head, headers: ['X-Bad', 'a\r\nb'] })
      assert.equal(got.failure?.kind, 'bad-request')
    })

    test('an aborted exchange is cut at the node and heard of no more', async () => {
      const cut = Promise.withResolvers<void>()
      const arrived = Promise.withResolvers<void>()
      await using node = await server((req) => {
        req.socket.on('close', () => cut.resolve())
        arrived.resolve()
      })
      await using forwarder = make({})
      const silent: Receiver = {
        head: () => assert.fail('head'),
        data: () => assert.fail('data'),
        end: () => assert.fail('end'),
        failed: () => assert.fail('failed'),
      }
      const running = forwarder.forward(node.name, head, undefined, silent)
      await arrived.promise
      running.abort()
      await cut.promise
    })

    bodiesContract(() => make({}))

    test('a node that is forgotten finishes its exchanges', async () => {
      const held = Promise.withResolvers<() => void>()
      await using node = await server((_req, res) => held.resolve(() => res.end('late')))
      await using forwarder = make({})
      const answer = exchange(forwarder, node.name, head)
      const finish = await held.promise
      forwarder.forget(node.name)
      finish()
      assert.equal((await answer).text, 'late')
    })
  })
}

interface Heard {
  status?: number
  reason?: string
  headers?: readonly string[]
  text: string
  failure?: ForwardFailure
}

function exchange(forwarder: Forwarder, node: string, head: RequestHead, body?: RequestBody): Promise<Heard> {
  return new Promise((resolve) => {
    const heard: Heard = { text: '' }
    const running: Exchange = forwarder.forward(node, head, body, {
      head: (status, reason, headers) => void Object.assign(heard, { status, reason, headers }),
      data(chunk) {
        heard.text += Buffer.from(chunk).toString()
        // Every chunk is a pause, so that resuming is part of every test.
        setImmediate(() => running.resume())
        return false
      },
      end: () => resolve(heard),
      failed: (failure) => resolve(Object.assign(heard, { failure })),
    })
  })
}

interface TestServer extends AsyncDisposable {
  readonly name: string
}

async function server(answer: RequestListener): Promise<TestServer> {
  const http = createServer(answer)
  const { port } = await listen(http, { host: '127.0.0.1', port: 0 })
  return {
    name: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }
}

async function tcpServer(accept: (socket: Socket) => void): Promise<TestServer> {
  const sockets = new Set<Socket>()
  const tcp = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    accept(socket)
  })
  await new Promise<void>((resolve) => tcp.listen({ host: '127.0.0.1', port: 0 }, resolve))
  const bound = tcp.address()
  return {
    name: `127.0.0.1:${typeof bound === 'object' && bound ? bound.port : 0}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => tcp.close(resolve))
    },
  }
}

/** A thread that listens, accepts nothing and has its queue of connections full: the next one hangs. */
async function fullServer(): Promise<TestServer> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer()
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`,
    { eval: true },
  )
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const sockets = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await new Promise((resolve) => sockets[0]?.once('connect', resolve))
  return {
    name: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await worker.terminate()
    },
  }
}
