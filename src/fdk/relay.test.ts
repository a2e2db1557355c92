import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import {
  answerOf,
  type BundleProcess,
  serverProgram as program,
  startProgram,
  trigger,
} from '../../test/support/bundle-process.ts'
import { until } from '../../test/support/until.ts'

/** Tells what arrived. */
const ECHO = program(`
  let body = ''
  req.setEncoding('latin1').on('data', (chunk) => { body += chunk })
  req.on('end', () => res.end(JSON.stringify({ method: req.method, url: req.url, raw: req.rawHeaders, body })))`)

async function started(source: string): Promise<BundleProcess> {
  const fn = await startProgram(source)
  await fn.ready()
  return fn
}

/** The header lines of {@link ECHO}'s answer, by lower-case name. */
function linesOf(raw: readonly string[]): Record<string, string[]> {
  const lines: Record<string, string[]> = {}
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    lines[name] = [...(lines[name] ?? []), raw[i + 1] as string]
  }
  return lines
}

test('a trigger call is the request that the caller made', async () => {
  await using fn = await started(ECHO)
  const headers = {
    'Fn-Call-Id': 'c1',
    'Fn-Deadline': '2999-01-01T00:00:00Z',
    'Content-Type': 'text/css',
    'X-Other': 'no',
    'Fn-Http-H-Cookie': 'a=b',
    'Fn-Http-H-X-Tea': ['green', 'black'],
    'Fn-Http-H-Fn-Call-Id': 'forged',
    'Fn-Http-H-Host': 'forged',
    'Fn-Http-H-Content-Length': '999',
    'Fn-Http-H-Expect': '100-continue',
    'Fn-Http-H-Connection': 'X-Tea',
    'Fn-Http-H-': 'nothing',
  }
  const url = 'http://shop.example:81/t/app/a%2Fb//c/../d?q=1&q=%20?#x'
  const { status, headers: head, body } = await fn.call(trigger('PUT', url, headers), 'data')
  const got = JSON.parse(Buffer.from(body).toString())
  assert.deepEqual([status, head['fn-http-status']], [200, '200'])
  assert.deepEqual([got.method, got.url, got.body], ['PUT', '/t/app/a%2Fb//c/../d?q=1&q=%20?#x', 'data'])
  assert.deepEqual(linesOf(got.raw), {
    host: ['shop.example:81'],
    'fn-call-id': ['c1'],
    'fn-deadline': ['2999-01-01T00:00:00Z'],
    'content-type': ['text/css'],
    cookie: ['a=b'],
    'x-tea': ['green', 'black'],
    'x-forwarded-proto': ['http'],
    'x-forwarded-host': ['shop.example:81'],
    'content-length': ['4'],
    'fn-turn': ['1.relay'],
    connection: ['keep-alive'],
  })
})

test('what a proxy in front of the platform forwarded stands', async () => {
  await using fn = await started(ECHO)
  const headers = { 'Fn-Http-H-X-Forwarded-Proto': 'https', 'Fn-Http-H-X-Forwarded-Host': 'a.example' }
  const { body } = await fn.call(trigger('GET', 'http://b.example?x', headers))
  const { method, url, raw } = JSON.parse(body)
  assert.deepEqual([method, url], ['GET', '/?x'])
  const { 'x-forwarded-proto': proto, 'x-forwarded-host': host } = linesOf(raw)
  assert.deepEqual([proto, host], [['https'], ['a.example']])
})

test('a plain call is POST / with the headers of the caller', async () => {
  await using fn = await started(ECHO)
  const headers = { 'Fn-Call-Id': 'c1', 'X-Tea': ['green', 'black'], Connection: 'X-Hop', 'X-Hop': '1' }
  const { status, headers: head, body } = await fn.call(headers, 'data')
  const got = JSON.parse(body)
  assert.deepEqual([status, head['fn-http-status']], [200, undefined])
  assert.deepEqual([got.method, got.url, got.body], ['POST', '/', 'data'])
  assert.deepEqual(linesOf(got.raw), {
    host: ['localhost'],
    'fn-call-id': ['c1'],
    'x-tea': ['green', 'black'],
    'content-length': ['4'],
    'fn-turn': ['1.relay'],
    connection: ['keep-alive'],
  })
})

const MADE =
  program(`res.writeHead(201, { 'Content-Type': 'a/b', 'Location': '/x', 'Set-Cookie': ['a=1', 'b=2'],
  'Connection': 'X-Hop', 'X-Hop': '1' }); res.end('made')`)

test('the answer of a trigger call is wrapped for the caller', async () => {
  await using fn = await started(MADE)
  const { status, headers, body } = await fn.call(trigger('POST', 'http://h/t/a/b'))
  assert.deepEqual([status, headers['fn-http-status'], body], [200, '201', 'made'])
  assert.deepEqual([headers['content-type'], headers['fn-http-h-location']], ['a/b', '/x'])
  assert.equal(headers['fn-http-h-set-cookie'], 'a=1, b=2')
  for (const name of ['location', 'x-hop', 'fn-http-h-x-hop', 'fn-http-h-connection'])
    assert.equal(headers[name], undefined, name)
})

test('the answer of a plain call keeps its headers, and its status beside the 200', async () => {
  await using fn = await started(MADE)
  const { status, headers, body } = await fn.call()
  assert.deepEqual([status, headers['fn-http-status'], body], [200, '201', 'made'])
  assert.deepEqual(
    [headers['location'], headers['set-cookie'], headers['x-hop']],
    ['/x', ['a=1', 'b=2'], undefined],
  )
})

test('an answer to HEAD, or one that has no body, says no length', async () => {
  await using fn = await started(
    program(`res.writeHead(req.method === 'HEAD' ? 200 : 304, { 'Content-Length': '7' }); res.end()`),
  )
  for (const method of ['HEAD', 'GET']) {
    const { headers, body } = await fn.call(trigger(method, 'http://h/'))
    assert.deepEqual([headers['content-length'], body], [undefined, ''])
  }
})

test('interim answers are not the answer', async () => {
  await using fn = await started(
    program(`res.writeEarlyHints({ link: '</a>; rel=preload' }); res.writeProcessing(); res.end('real')`),
  )
  assert.equal((await fn.call()).body, 'real')
})

test('bytes arrive as they are, both ways, with and without a length', async () => {
  await using fn = await started(program('req.pipe(res)'))
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256))
  for (const headers of [
    { 'Content-Length': String(bytes.length) },
    { 'Transfer-Encoding': 'chunked' },
  ] as const)
    for (const extra of [{}, trigger('DELETE', 'http://h/')]) {
      const req = fn.open({ ...headers, ...extra })
      req.end(bytes)
      const [res] = (await once(req, 'response')) as [IncomingMessage]
      assert.ok(Buffer.concat(await res.toArray()).equals(bytes))
    }
})

test('a streamed answer arrives piece by piece', async () => {
  await using fn = await started(program(`req.on('data', (chunk) => res.write(chunk)); res.flushHeaders()`))
  const req = fn.open({ 'Transfer-Encoding': 'chunked' })
  req.flushHeaders()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  for (const piece of ['one', 'two']) {
    req.write(piece)
    assert.equal(String((await once(res, 'data'))[0]), piece)
  }
  res.on('error', () => {})
  req.destroy()
})

test('a program waits while the caller is slow', async () => {
  await using fn = await started(`let sent = 0
    const server = ${program(`
    if (req.headers['x-ask']) return res.end(String(sent))
    const chunk = Buffer.alloc(64 * 1024)
    const more = () => { while (sent < 2_000) { sent++; if (!res.write(chunk)) return } res.end() }
    res.on('drain', more)
    more()`)}`)
  const req = fn.open()
  req.end()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const sent = async () => Number((await fn.call({ 'X-Ask': '1' })).body)
  let before = -1
  await until('the pipe to be full', async () => {
    const last = before
    before = await sent()
    return before === last
  })
  assert.ok(before < 500, `${before} chunks of 64 KiB were taken for nobody`)
  let size = 0
  for await (const chunk of res) size += chunk.length
  assert.equal(size, 2_000 * 64 * 1024)
})

test('a caller that leaves ends the request of the program', async () => {
  await using fn = await started(
    program(`console.log('called'); res.on('close', () => console.log('left ' + res.writableFinished))`),
  )
  const req = fn.open()
  req.on('error', () => {})
  req.end()
  await until('the call', () => fn.stdout().includes('called'))
  req.destroy()
  await until('the end of it', () => fn.stdout() === 'called\nleft false\n')
  assert.equal(fn.stderr(), '')
})

test('a caller that leaves in the middle of its body ends the request of the program', async () => {
  await using fn = await started(
    program(`req.on('data', () => console.log('data')); req.on('close', () => console.log(req.complete))
      req.on('error', () => {})`),
  )
  const req = fn.open({ 'Transfer-Encoding': 'chunked' })
  req.on('error', () => {})
  req.write('part')
  await until('the call', () => fn.stdout().includes('data'))
  req.destroy()
  await until('the end of it', () => fn.stdout() === 'data\nfalse\n')
})

test('a program that answers before it has read the body keeps nobody from the next call', async () => {
  await using fn = await started(program(`res.writeHead(413); res.end('too much')`))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let i = 0; i < 2; i++) {
    const req = request({ socketPath: fn.socket, agent, method: 'POST', path: '/call' })
    req.end('x'.repeat(5_000_000))
    const { headers, body } = await answerOf(req)
    assert.deepEqual([headers['fn-http-status'], body], ['413', 'too much'])
  }
  agent.destroy()
})

test('fifty calls at once get their own answers', async () => {
  await using fn = await started(`const waiting = []
    ${program(`waiting.push(() => req.pipe(res)); if (waiting.length === 50) waiting.reverse().forEach((go) => go())`)}`)
  const bodies = Array.from({ length: 50 }, (_, at) => `call ${at} `.repeat(1_000))
  const answers = await Promise.all(bodies.map((body) => fn.call({}, body)))
  assert.deepEqual(
    answers.map(({ body }) => body),
    bodies,
  )
})

/** Writes each answer twice, the second time a little late, over connections of its own making. */
const TWICE = `
  require('node:net').createServer((socket) => {
    let heard = ''
    socket.on('error', () => {}).on('data', (data) => {
      heard += data
      const [head, body = ''] = heard.split('\\r\\n\\r\\n')
      const [, length] = /content-length: (\\d+)/i.exec(head) ?? []
      if (body.length < Number(length ?? Infinity)) return
      heard = ''
      const answer = 'HTTP/1.1 200 OK\\r\\nContent-Length: ' + length + '\\r\\n\\r\\n' + body
      socket.write(answer)
      setTimeout(() => socket.destroyed || socket.write(answer), Math.random() * 3)
    })
  }).listen(process.env.PORT)`

test('a program that says everything twice, the second time late, gives nobody the answer of another', async () => {
  await using fn = await started(TWICE)
  for (let i = 1_000; i < 2_000; i++) {
    const { status, body } = await fn.call({}, `call ${i}`)
    assert.deepEqual([status, body], [200, `call ${i}`])
  }
})

test('connections to a program with an HTTP server of Node are kept', async () => {
  await using fn = await started(program(`res.end(String(req.socket.remotePort))`))
  const ports = new Set<string>()
  for (let i = 0; i < 20; i++) ports.add((await fn.call()).body)
  assert.equal(ports.size, 1)
})

test('a connection that the program cuts before a head is a failure of the function', async () => {
  await using fn = await started(program('req.socket.destroy()'))
  const { status, body } = await fn.call()
  assert.equal(status, 502)
  assert.equal(JSON.parse(body).message, 'Exception in function, consult logs for details')
  assert.match(fn.stderr(), /^Error in function: Error: socket hang up/)
})

test('a connection that the program cuts after a head breaks the answer', async () => {
  await using fn = await started(program(`res.write('part'); setImmediate(() => req.socket.destroy())`))
  await assert.rejects(fn.call(), { code: 'ECONNRESET' })
})

test('a program that dies in the middle of an answer breaks it', async () => {
  await using fn = await started(
    program(`res.flushHeaders(); req.on('data', () => process.kill(process.pid, 'SIGKILL'))`),
  )
  const req = fn.open({ 'Transfer-Encoding': 'chunked' })
  req.on('error', () => {})
  req.flushHeaders()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  req.write('die')
  await assert.rejects(text(res), { code: 'ECONNRESET' })
})

test('what HTTP/1.1 does not know is a failure of the function', async () => {
  await using fn = await started(program(`res.end('up')`))
  assert.equal((await fn.call(trigger('NOT A METHOD', 'http://h/'))).status, 502)
  assert.equal((await fn.call(trigger('GET', 'http://h/a b'))).status, 502)
  assert.equal((await fn.call(trigger('GET', 'http://h/ok'))).status, 200)
})

test('an upgrade that nobody asked for is a failure of the function', async () => {
  await using fn = await started(
    program(
      `req.socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: x\\r\\nConnection: upgrade\\r\\n\\r\\n')`,
    ),
  )
  assert.equal((await fn.call()).status, 502)
})

test('only POST /call is a call', async () => {
  await using fn = await started(program(`res.end('never')`))
  for (const [method, path] of [
    ['GET', '/call'],
    ['POST', '/other'],
  ] as const) {
    const req = request({ socketPath: fn.socket, agent: false, method, path })
    req.end()
    assert.equal((await answerOf(req)).status, 400)
  }
})

test('log frames name each call', async () => {
  await using fn = await startProgram(program('res.end()'), {
    env: { FN_LOGFRAME_NAME: 'call', FN_LOGFRAME_HDR: 'Fn-Call-Id' },
  })
  await fn.ready()
  await fn.call({ 'Fn-Call-Id': 'c7' })
  await until('the frame', () => fn.stdout() === '\ncall=c7\n')
})
