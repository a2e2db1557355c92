import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BundleProcess, startBundle } from '../../test/support/bundle-process.ts'
import { until } from '../../test/support/until.ts'

/** A handler's module; its `request` and `ctx` are those of a default export. */
const handler = (body: string) => ({ 'func.cjs': `module.exports = async (request, ctx) => { ${body} }` })
const start = (files: Readonly<Record<string, string>>, format = 'http'): Promise<BundleProcess> =>
  startBundle(files, { format })

/** A request as a runner of 2017 wrote it: always GET, a header a variable of the call, no Host. */
function requestOf(body: string | Uint8Array, variables: Readonly<Record<string, string>> = {}): Buffer {
  const lines = Object.entries(variables).map(([name, value]) => `${name}: ${value}\r\n`)
  const bytes = Buffer.from(body)
  const head = `GET / HTTP/1.1\r\n${lines.join('')}Content-Length: ${bytes.length}\r\nTask-Id: t1\r\n\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

/** Reads answers off stdout, byte for byte. */
function answersOf({ child }: BundleProcess) {
  let bytes = Buffer.alloc(0)
  child.stdout.setEncoding('latin1').on('data', (chunk) => {
    bytes = Buffer.concat([bytes, Buffer.from(chunk, 'latin1')])
  })
  return {
    /** The next one, which must have a length. */
    async next() {
      const end = await until('the head', () => bytes.indexOf('\r\n\r\n') + 1)
      const [status = '', ...lines] = bytes
        .subarray(0, end - 1)
        .toString('latin1')
        .split('\r\n')
      const headers = Object.fromEntries(
        lines.map((line) => line.split(': ')).map(([name, value]) => [name?.toLowerCase(), value]),
      )
      const from = end + 3
      const length = Number(headers['content-length'])
      await until('the body', () => bytes.length >= from + length)
      const body = bytes.subarray(from, from + length)
      bytes = bytes.subarray(from + length)
      return { status, headers, body }
    },
    left: () => bytes.length,
  }
}

test('two calls are answered by one process, each with its length, and the end of stdin ends it', async () => {
  await using fn = await start({
    'func.cjs': `let calls = 0; module.exports = async (request) => ++calls + ' ' + await request.text()`,
  })
  const answers = answersOf(fn)
  for (const [at, word] of ['one', 'two'].entries()) {
    fn.child.stdin.write(requestOf(word))
    const { status, headers, body } = await answers.next()
    assert.deepEqual([status, String(body)], ['HTTP/1.1 200 OK', `${at + 1} ${word}`])
    assert.equal(headers['transfer-encoding'], undefined)
  }
  fn.child.stdin.end()
  assert.equal(await fn.exit, 0)
  assert.deepEqual([answers.left(), fn.stderr()], [0, ''])
})

test('a call whose stdin has ended is answered still', async () => {
  await using fn = await start(
    handler('await new Promise((resolve) => setTimeout(resolve, 50)); return request.text()'),
  )
  const answers = answersOf(fn)
  fn.child.stdin.end(requestOf('last'))
  assert.equal(String((await answers.next()).body), 'last')
  assert.equal(await fn.exit, 0)
})

test('bytes arrive as they are, both ways', async () => {
  await using fn = await start(handler('return new Uint8Array(await request.arrayBuffer())'))
  const answers = answersOf(fn)
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256))
  for (const body of [bytes, Buffer.alloc(0), bytes]) {
    fn.child.stdin.write(requestOf(body))
    assert.ok((await answers.next()).body.equals(body))
  }
})

test('a Response keeps its status and headers, and its stream gets a length', async () => {
  await using fn = await start(
    handler(`const body = new ReadableStream({ start(c) {
      c.enqueue(Buffer.from('no')); c.enqueue(Buffer.from('pe')); c.close() } })
      return new Response(body, { status: 404, headers: { 'X-Why': 'gone', 'Connection': 'x' } })`),
  )
  const answers = answersOf(fn)
  fn.child.stdin.write(requestOf(''))
  const { status, headers, body } = await answers.next()
  assert.deepEqual([status, headers['x-why'], String(body)], ['HTTP/1.1 404 Not Found', 'gone', 'nope'])
  assert.notEqual(headers['connection'], 'x')
})

test('the variables of the call make the request and its context', async () => {
  await using fn = await start(
    handler(`return { method: request.method, url: request.url, headers: [...request.headers],
      body: await request.text(), callId: ctx.callId, deadline: ctx.deadline }`),
  )
  const answers = answersOf(fn)
  const call = {
    Method: 'PUT',
    Request_url: 'http://h:1/t/app/x?q=1',
    App_name: 'app',
    Header_content_type: 'text/css',
    Header_x_tea: 'green',
    Fn_call_id: 'c1',
    Fn_deadline: '2999-01-01T00:00:00Z',
  }
  fn.child.stdin.write(requestOf('data', call))
  assert.deepEqual(JSON.parse(String((await answers.next()).body)), {
    method: 'PUT',
    url: 'http://h:1/t/app/x?q=1',
    headers: [
      ['content-type', 'text/css'],
      ['x-tea', 'green'],
    ],
    body: 'data',
    callId: 'c1',
    deadline: '2999-01-01T00:00:00.000Z',
  })
  fn.child.stdin.write(requestOf('data'))
  const bare = JSON.parse(String((await answers.next()).body))
  assert.deepEqual(
    [bare.method, bare.url, bare.headers, bare.body],
    ['POST', 'http://localhost/call', [], 'data'],
  )
  fn.child.stdin.write(requestOf('left out', { Method: 'GET' }))
  const get = JSON.parse(String((await answers.next()).body))
  assert.deepEqual([get.method, get.body], ['GET', ''])
})

test('what the function prints goes to stderr', async () => {
  await using fn = await start({
    'func.cjs': `console.log('loading')
      const { log } = console
      module.exports = () => {
        console.log('a'); console.info('b'); console.table([1]); log('c'); process.stdout.write('d'); return 'x'
      }`,
  })
  const answers = answersOf(fn)
  fn.child.stdin.write(requestOf(''))
  assert.equal(String((await answers.next()).body), 'x')
  await until('the last word', () => fn.stderr().endsWith('d'))
  for (const word of ['loading\n', 'a\nb\n', 'c\nd']) assert.ok(fn.stderr().includes(word), word)
  fn.child.stdin.end()
  await fn.exit
  assert.equal(answers.left(), 0)
})

test('an answer waits for the end of a body that nobody reads', async () => {
  await using fn = await start(handler(`setTimeout(() => console.log('later'), 50); return 'early'`))
  const answers = answersOf(fn)
  const call = requestOf('x'.repeat(200_000))
  fn.child.stdin.write(call.subarray(0, -1))
  await until('the handler to be over', () => fn.stderr().includes('later'))
  assert.equal(answers.left(), 0)
  fn.child.stdin.write(call.subarray(-1))
  assert.equal(String((await answers.next()).body), 'early')
})

test('a failure is an answer without the reason, which is logged, and the next call is served', async () => {
  await using fn = await start(
    handler(`if (await request.text() === 'bad') throw new Error('secret'); return 'ok'`),
  )
  const answers = answersOf(fn)
  fn.child.stdin.write(requestOf('bad'))
  const { status, body } = await answers.next()
  assert.equal(status, 'HTTP/1.1 502 Bad Gateway')
  assert.deepEqual(JSON.parse(String(body)), { message: 'Exception in function, consult logs for details' })
  assert.match(fn.stderr(), /^Error in function: Error: secret/)
  fn.child.stdin.write(requestOf('good'))
  assert.equal(String((await answers.next()).body), 'ok')
})

test('what is no HTTP ends the process with the reason', async () => {
  await using fn = await start(handler(`return 'never'`))
  fn.child.stdin.write('hello\r\n\r\n')
  assert.equal(await fn.exit, 1)
  assert.match(fn.stderr(), /^stdin carried no HTTP request: /)
})

test('a program without a default export has stdin and stdout to itself', async () => {
  await using fn = await start({
    'func.cjs': `process.stdin.once('data', (chunk) => { console.log('got ' + chunk); process.exit() })`,
  })
  fn.child.stdin.write('bytes')
  assert.equal(await fn.exit, 0)
  assert.deepEqual([fn.stdout(), fn.stderr()], ['got bytes\n', ''])
})

test('with format default one call goes from stdin to stdout, and what is printed to stderr', async () => {
  const bundle = handler(`console.log('printed')
    return [request.method, request.url, request.headers.get('x-tea'), await request.text(), ctx.callId,
      JSON.stringify(ctx.config)].join()`)
  await using fn = await startBundle(bundle, {
    format: 'default',
    env: {
      METHOD: 'PATCH',
      REQUEST_URL: 'http://h/t/a/b?c',
      HEADER_X_TEA: 'grün',
      FN_CALL_ID: 'c1',
      COLOUR: 'teal',
      PORT: '1',
    },
  })
  fn.child.stdin.end('in')
  assert.equal(await fn.exit, 0)
  const tea = Buffer.from('grün').toString('latin1') // as HTTP has it
  assert.equal(fn.stdout(), `PATCH,http://h/t/a/b?c,${tea},in,c1,{"COLOUR":"teal"}`)
  assert.equal(fn.stderr(), 'printed\n')
})

test('with format default only what is printed while the module loads goes to stdout', async () => {
  // Nobody knows then whether it is a program that answers so.
  await using fn = await startBundle(
    { 'func.cjs': `console.log('loading'); module.exports = () => { console.log('called'); return 'x' }` },
    { format: 'default' },
  )
  fn.child.stdin.end()
  assert.equal(await fn.exit, 0)
  assert.deepEqual([fn.stdout(), fn.stderr()], ['loading\nx', 'called\n'])
})
