import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'

interface Ctx {
  readonly callId: string
  readonly deadline: Date
  readonly signal: AbortSignal
  readonly config: Readonly<Record<string, string>>
  readonly params: Readonly<Record<string, string>>
}
type Handler = (request: Request, ctx: Ctx) => unknown

process.env['COLOUR'] = 'teal'
process.env['PWD'] = '/where/it/runs'
process.env['FN_MEMORY'] = '128'
const { serve } = createRequire(import.meta.url)('./serve.cjs') as { serve(h: Handler, path: string): Server }

interface Served extends AsyncDisposable {
  readonly path: string
  /** The request is left open when there is no body. */
  open(headers?: Headers, method?: string, target?: string): ClientRequest
  call(body?: string, headers?: Headers): Promise<Answer>
}
type Headers = Readonly<Record<string, string | string[]>>
interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

async function served(handler: Handler): Promise<Served> {
  const dir = await tempDir()
  const path = join(dir.path, 'lsnr.sock')
  const server = serve(handler, path)
  await until('the socket', () => existsSync(path))
  const open: Served['open'] = (headers = {}, method = 'POST', target = '/call') =>
    request({ socketPath: path, agent: false, method, path: target, headers })
  return {
    path,
    open,
    async call(body = '', headers = {}) {
      const req = open(headers)
      req.end(body)
      return answerOf(req)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await dir[Symbol.asyncDispose]()
    },
  }
}

async function answerOf(req: ClientRequest): Promise<Answer> {
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  return { status: res.statusCode ?? 0, headers: res.headers, body: await text(res) }
}

const trigger = (method: string, url: string, headers: Headers = {}): Headers => ({
  'Fn-Intent': 'httprequest',
  'Fn-Http-Method': method,
  'Fn-Http-Request-Url': url,
  ...headers,
})

/** Keeps what a failing handler logs out of the test's output, and counts it. */
function muted(t: {
  mock: { method(o: object, m: string, f: () => void): { mock: { callCount(): number } } }
}) {
  return t.mock.method(console, 'error', () => {})
}

describe('the answer', () => {
  const answers: readonly (readonly [string, unknown, string | undefined, string])[] = [
    ['an object is JSON', { a: 1 }, 'application/json', '{"a":1}'],
    ['a number is JSON', 5, 'application/json', '5'],
    ['a string is text', 'hello', 'text/plain; charset=utf-8', 'hello'],
    ['bytes are bytes', new Uint8Array([104, 105]), 'application/octet-stream', 'hi'],
    ['undefined is empty', undefined, undefined, ''],
    ['null is empty', null, undefined, ''],
    ['a promise is waited for', Promise.resolve('later'), 'text/plain; charset=utf-8', 'later'],
  ]
  for (const [title, result, type, body] of answers)
    test(title, async () => {
      await using fn = await served(() => result)
      const answer = await fn.call()
      assert.deepEqual([answer.status, answer.headers['content-type'], answer.body], [200, type, body])
    })

  test('a Response keeps its headers, and its status beside the 200', async () => {
    await using fn = await served(() => new Response('no', { status: 404, headers: { 'X-Why': 'gone' } }))
    const { status, headers, body } = await fn.call()
    assert.deepEqual([status, headers['fn-http-status'], headers['x-why'], body], [200, '404', 'gone', 'no'])
  })

  test('a throw is 502 with its text, and the stack is logged', async (t) => {
    const log = muted(t)
    await using fn = await served(() => {
      throw new Error('on purpose')
    })
    const { status, body } = await fn.call()
    assert.equal(status, 502)
    assert.deepEqual(JSON.parse(body), {
      message: 'Exception in function, consult logs for details',
      detail: 'Error: on purpose',
    })
    assert.equal(log.mock.callCount(), 1)
  })

  for (const [what, result] of [
    ['what JSON cannot hold', { n: 1n }],
    ['Response.error()', Response.error()],
  ] as const)
    test(`${what} is a failure of the function`, async (t) => {
      muted(t)
      await using fn = await served(() => result)
      assert.equal((await fn.call()).status, 502)
    })

  test('after a failure the next call is served on the same connection', async (t) => {
    muted(t)
    let calls = 0
    await using fn = await served(async (request) => {
      if (++calls === 1) throw new Error('before reading a large body')
      return request.text()
    })
    const { Agent } = await import('node:http')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = (body: string) => {
      const req = request({ socketPath: fn.path, agent, method: 'POST', path: '/call' })
      req.end(body)
      return answerOf(req)
    }
    assert.equal((await send('x'.repeat(1_000_000))).status, 502)
    assert.equal((await send('y'.repeat(300_000))).body, 'y'.repeat(300_000))
    agent.destroy()
  })

  test('only POST /call is a call', async () => {
    await using fn = await served(() => 'never')
    for (const [method, target] of [
      ['GET', '/call'],
      ['POST', '/other'],
    ] as const) {
      const req = fn.open({}, method, target)
      req.end()
      assert.equal((await answerOf(req)).status, 400)
    }
  })

  test('the socket is open to every user of the folder', async () => {
    await using fn = await served(() => '')
    assert.equal(statSync(fn.path).mode & 0o777, 0o666)
  })
})

describe('the request', () => {
  test('of a plain call is a POST with the headers of the call', async () => {
    await using fn = await served(async (request) => [
      request.method,
      request.url,
      request.headers.get('x-a'),
      await request.text(),
    ])
    const { body } = await fn.call('data', { 'X-A': ['1', '2'] })
    assert.deepEqual(JSON.parse(body), ['POST', 'http://localhost/call', '1, 2', 'data'])
  })

  test('of a trigger is the request that the caller made', async () => {
    await using fn = await served(async (request) => ({
      method: request.method,
      url: request.url,
      headers: [...request.headers],
      body: await request.text(),
    }))
    const headers = { 'Fn-Http-H-Cookie': 'a=b', 'Content-Type': 'text/css', 'X-Other': 'no' }
    const { body } = await fn.call('data', trigger('PUT', 'http://h:1/t/app/x?q=1', headers))
    assert.deepEqual(JSON.parse(body), {
      method: 'PUT',
      url: 'http://h:1/t/app/x?q=1',
      headers: [
        ['content-type', 'text/css'],
        ['cookie', 'a=b'],
      ],
      body: 'data',
    })
  })

  test('of a trigger with parameters tells them in its context', async () => {
    await using fn = await served((_request, ctx) => ctx.params)
    const params = { 'Fn-Http-Params': 'id=a%2Fb&rest=x+y' }
    const { body } = await fn.call('', trigger('GET', 'http://h/t/a/u/1', params))
    assert.deepEqual(JSON.parse(body), { id: 'a/b', rest: 'x y' })
    assert.equal((await fn.call('', params)).body, '{}', 'a caller by id cannot make any up')
  })

  test('of a GET through a trigger has no body', async () => {
    await using fn = await served((request) => `${request.method} ${request.body}`)
    assert.equal((await fn.call('', trigger('GET', 'http://h/t/a/b'))).body, 'GET null')
  })

  test('its answer through a trigger is wrapped for the caller', async () => {
    const response = new Response('made', { status: 201, headers: { Location: '/x', 'Content-Type': 'a/b' } })
    response.headers.append('Set-Cookie', 'a=1')
    response.headers.append('Set-Cookie', 'b=2')
    await using fn = await served(() => response)
    const { status, headers, body } = await fn.call('', trigger('POST', 'http://h/t/a/b'))
    assert.deepEqual([status, body, headers['fn-http-status']], [200, 'made', '201'])
    assert.deepEqual([headers['content-type'], headers['fn-http-h-location']], ['a/b', '/x'])
    assert.equal(headers['fn-http-h-set-cookie'], 'a=1, b=2')
  })

  test('its body streams: a part is read before the rest is sent', async () => {
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
    await using fn = await served(async (request) => {
      reader = request.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>
      await reader.read()
      seen.resolve()
      return `${(await reader.read()).value?.byteLength}`
    })
    const seen = Promise.withResolvers<void>()
    const req = fn.open()
    req.write('first')
    await seen.promise
    req.end('second')
    assert.equal((await answerOf(req)).body, '6')
  })
})

describe('a streamed answer', () => {
  /** A body whose end the test decides. */
  function makeBody() {
    let controller!: ReadableStreamDefaultController<Uint8Array>
    const cancelled = Promise.withResolvers<void>()
    const body = new ReadableStream<Uint8Array>({
      start(made) {
        controller = made
      },
      cancel: () => cancelled.resolve(),
    })
    return { body, controller, cancelled: cancelled.promise }
  }

  test('is sent as it comes', async () => {
    const { body, controller } = makeBody()
    await using fn = await served(() => new Response(body))
    const req = fn.open()
    req.end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    controller.enqueue(Buffer.from('one'))
    assert.equal(String((await once(res, 'data'))[0]), 'one')
    controller.close()
    res.resume()
    await once(res, 'end')
  })

  test('waits for a slow reader', async () => {
    let pulled = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(64 * 1024))
        if (pulled === 1_000) controller.close()
      },
    })
    await using fn = await served(() => new Response(body))
    const req = fn.open()
    req.end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    await until('the pipe to be full', () => pulled > 1)
    for (let before = -1; before !== pulled; ) {
      before = pulled
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(pulled < 100, `${pulled} chunks were made for nobody`)
    let size = 0
    for await (const chunk of res) size += chunk.length
    assert.equal(size, 1_000 * 64 * 1024)
  })

  test('that fails on its way breaks the connection', async (t) => {
    muted(t)
    const { body, controller } = makeBody()
    await using fn = await served(() => new Response(body))
    const req = fn.open()
    req.end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    controller.error(new Error('on purpose'))
    await assert.rejects(text(res), { code: 'ECONNRESET' })
  })

  test('is cancelled when the caller has gone', async () => {
    const { body, cancelled } = makeBody()
    await using fn = await served(() => new Response(body))
    const req = fn.open()
    req.end()
    await once(req, 'response')
    req.destroy()
    await cancelled
  })
})

describe('the context', () => {
  test('tells call, deadline and config, which has nothing of the platform', async () => {
    await using fn = await served((_, ctx) => ({
      callId: ctx.callId,
      deadline: ctx.deadline,
      aborted: ctx.signal.aborted,
      config: [ctx.config['COLOUR'], 'FN_MEMORY' in ctx.config, 'PATH' in ctx.config, 'PWD' in ctx.config],
    }))
    const { body } = await fn.call('', { 'Fn-Call-Id': 'c1', 'Fn-Deadline': '2999-01-01T00:00:00Z' })
    assert.deepEqual(JSON.parse(body), {
      callId: 'c1',
      deadline: '2999-01-01T00:00:00.000Z',
      aborted: false,
      config: ['teal', false, false, false],
    })
  })

  test('its signal aborts at the deadline', async () => {
    await using fn = await served(async (_, { signal }) => {
      if (!signal.aborted) await once(signal, 'abort')
      return signal.reason.name
    })
    assert.equal((await fn.call('', { 'Fn-Deadline': '2001-01-01T00:00:00Z' })).body, 'TimeoutError')
  })

  test('who stops at the deadline, as the signal says, has run out of time and has not failed', async () => {
    await using fn = await served(async (_, { signal }) => {
      if (!signal.aborted) await once(signal, 'abort')
      throw signal.reason
    })
    const { status, body } = await fn.call('', { 'Fn-Deadline': '2001-01-01T00:00:00Z' })
    assert.deepEqual([status, JSON.parse(body).message], [504, 'Timed out'])
  })

  test('its signal aborts when the caller has gone', async () => {
    const started = Promise.withResolvers<void>()
    const reason = Promise.withResolvers<string>()
    await using fn = await served(async (_, { signal }) => {
      started.resolve()
      await once(signal, 'abort')
      reason.resolve(signal.reason.name)
    })
    const req = fn.open()
    req.on('error', () => {})
    req.end()
    await started.promise
    req.destroy()
    assert.equal(await reason.promise, 'AbortError')
  })
})
