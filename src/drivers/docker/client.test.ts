import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { api } from './api.ts'
import { type EngineClient, type EngineRequest, engineClient } from './client.ts'

const never = new AbortController().signal

/** What an engine would say; no real one can be made to say all of it. */
let answer: (req: IncomingMessage, res: ServerResponse) => void
const server = createServer((req, res) => answer(req, res))
let client: EngineClient

beforeEach(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  client = engineClient(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterEach(async () => {
  client[Symbol.dispose]()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const archive = () => Readable.from([Buffer.from('archive')])

/** Every request whose answer is read to its end. */
const REQUESTS: Readonly<Record<string, () => EngineRequest<unknown>>> = {
  version: api.version,
  info: api.info,
  containers: () => api.containers('sluice=x'),
  create: () => api.create({ Image: 'x' }, 'name'),
  inspect: () => api.inspect('c'),
  start: () => api.start('c'),
  wait: () => api.wait('c'),
  kill: () => api.kill('c'),
  pause: () => api.pause('c'),
  unpause: () => api.unpause('c'),
  remove: () => api.remove('c'),
  archive: () => api.archive('c', '/x'),
  images: api.images,
  inspectImage: () => api.inspectImage('r.example/a:1'),
  removeImage: () => api.removeImage('r.example/a:1'),
  load: () => api.load(archive()),
  importFiles: () => api.importFiles(archive()),
}

describe('an engine that breaks off in the middle of its answer', () => {
  for (const [name, request] of Object.entries(REQUESTS))
    test(`leaves nobody waiting: ${name}`, async () => {
      answer = (req, res) => {
        req.resume()
        res.writeHead(200, { 'Content-Type': 'application/json' })
        res.write('{"half":')
        setImmediate(() => res.destroy())
      }
      await assert.rejects(client.send(request(), never), { code: 'ECONNRESET' })
    })

  test('ends a stream that is read', async () => {
    answer = (_req, res) => {
      res.write('{}\n')
      setImmediate(() => res.destroy())
    }
    const stream = await client.send(api.stats('c'), never)
    await assert.rejects(text(stream), { code: 'ECONNRESET' })
  })
})

describe('aborting', () => {
  for (const [name, request] of Object.entries(REQUESTS))
    test(`ends a request that gets no answer: ${name}`, async () => {
      const leaving = new AbortController()
      answer = () => leaving.abort()
      await assert.rejects(client.send(request(), leaving.signal), { name: 'AbortError' })
    })

  test('ends one whose answer has begun', async () => {
    const leaving = new AbortController()
    answer = (_req, res) => {
      res.write('{}')
      setImmediate(() => leaving.abort())
    }
    await assert.rejects(client.send(api.info(), leaving.signal), { name: 'AbortError' })
  })
})

test('a refusal has its status and the words of the engine, or what else it said', async () => {
  answer = (_req, res) => res.writeHead(409).end('{"message":" name is taken \\n"}')
  const refused = client.send(api.create({ Image: 'x' }), never)
  await assert.rejects(refused, { name: 'EngineError', statusCode: 409, message: 'name is taken' })
  answer = (_req, res) => res.writeHead(502).end('bad gateway')
  await assert.rejects(client.send(api.info(), never), { statusCode: 502, message: 'bad gateway' })
  answer = (_req, res) => res.writeHead(304).end()
  await assert.rejects(client.send(api.start('c'), never), { statusCode: 304, message: 'HTTP status 304' })
})

test('a body arrives as JSON with its length, an archive as it is, a query encoded', async () => {
  const seen: { url?: string | undefined; length?: string | undefined; body: string }[] = []
  answer = async (req, res) => {
    const body = (await buffer(req)).toString()
    seen.push({ url: req.url, length: req.headers['content-length'], body })
    res.end('{}')
  }
  await client.send(api.create({ Image: 'é' }, 'a b'), never)
  await client.send(api.importFiles(archive()), never)
  assert.deepEqual(seen, [
    { url: '/containers/create?name=a+b', length: '14', body: '{"Image":"é"}' },
    { url: '/images/create?fromSrc=-', length: undefined, body: 'archive' },
  ])
})

test('what is no address of an engine is refused', () => {
  for (const host of ['docker', 'http://x:1', 'tcp://x', 'unix://relative'])
    assert.throws(() => engineClient(host), { fault: 'unavailable', message: /unix:\/\/\/path or tcp:/ })
})
