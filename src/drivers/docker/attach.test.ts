import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { systemClock } from '../../core/clock.ts'
import { attach } from './attach.ts'
import { type Engine, openEngine } from './engine.ts'

/** The engine's ends of the connections to a container. */
interface Ends {
  output?: Socket
  input?: Socket
}

/** What an engine does at moments that a real one cannot be made to choose. */
const server = createServer((_req, res) => res.end(JSON.stringify({ ApiVersion: '1.41' })))
let ends: Ends
let refused: string | undefined
let engine: Engine

server.on('upgrade', (req, socket: Socket) => {
  const { searchParams } = new URL(req.url as string, 'http://engine')
  const name = searchParams.get('stdout') === '1' ? 'output' : 'input'
  if (name === refused) return socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}')
  ends[name] = socket
  socket.on('error', () => {}).on('end', () => socket.end())
  return socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
})

beforeEach(async () => {
  ends = {}
  refused = undefined
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
  engine = await openEngine({ host, clock: systemClock, random: () => 0 })
})
afterEach(async () => {
  engine[Symbol.dispose]()
  for (const socket of Object.values(ends)) socket.destroy()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const frame = (stream: number, words: string) =>
  Buffer.concat([Buffer.of(stream, 0, 0, 0, 0, 0, 0, words.length), Buffer.from(words)])

describe('the connections to a container', () => {
  test('bring all output, also when input breaks its connection before the output was read', async () => {
    using attachment = await attach(engine, 'c', 'cold')
    ends.output?.write(Buffer.concat([frame(1, 'last words'), frame(2, 'and more')]))
    ends.output?.destroy()
    ends.input?.resetAndDestroy()
    attachment.stdin?.write('to nobody')
    attachment.stdin?.end('any more')
    const { stdout, stderr } = attachment
    assert.deepEqual(await Promise.all([text(stdout), text(stderr)]), ['last words', 'and more'])
  })

  test('are over when the output is, though nobody took all of the input', async () => {
    using attachment = await attach(engine, 'c', 'cold')
    const written = new Promise((done) => attachment.stdin?.write(Buffer.alloc(16 * 1024 ** 2), done))
    ends.output?.end(frame(1, 'bye'))
    const input = once(ends.input as Socket, 'close')
    assert.equal(await text(attachment.stdout), 'bye')
    assert.ok((await written) instanceof Error)
    ends.input?.resume()
    await input
  })

  test('take input to its end while output goes on', async () => {
    using attachment = await attach(engine, 'c', 'cold')
    attachment.stdin?.write('a')
    attachment.stdin?.end('b')
    assert.equal(await text(ends.input as Socket), 'ab')
    ends.output?.end(frame(1, 'c'))
    assert.equal(await text(attachment.stdout), 'c')
  })

  test('are one for a hot container, which has no input', async () => {
    using attachment = await attach(engine, 'c', 'hot')
    assert.equal(attachment.stdin, undefined)
    assert.deepEqual(Object.keys(ends), ['output'])
  })

  test('are closed when they are disposed, or the second cannot be had', async () => {
    const closed = () => Object.values(ends).every((socket: Socket) => socket.resume().closed)
    const attachment = await attach(engine, 'c', 'cold')
    attachment[Symbol.dispose]()
    await until('both to be closed', closed)
    ends = {}
    refused = 'input'
    await assert.rejects(attach(engine, 'c', 'cold'), { fault: 'unavailable' })
    assert.deepEqual(Object.keys(ends), ['output'])
    await until('the first to be closed', closed)
  })
})
