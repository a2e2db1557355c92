import assert from 'node:assert/strict'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { test } from 'node:test'
import { FN, hello, http, INVOKE, type Seen, send, setUpNode as setUp } from '../../test/support/node-rig.ts'
import { until } from '../../test/support/until.ts'
import { systemClock } from '../core/clock.ts'
import { parseWait } from '../core/headers.ts'
import { isId } from '../core/ids.ts'
import { parseLoad } from '../core/load.ts'
import { seededRandom } from '../core/random.ts'
import { parseDuration } from '../core/units.ts'
import { mockDriver } from '../drivers/mock/mock.ts'
import { sqliteStore } from '../store/sqlite/sqlite.ts'

function assertFacts({ headers }: Seen): void {
  assert.ok((parseDuration(headers['fxlb-wait'] as string) as number) >= 0)
  assert.ok(parseWait(headers['fn-wait'] as string))
  assert.ok(parseLoad(headers['fn-load'] as string))
  assert.ok(isId(headers['fn-call-id'] as string))
}

test('row 53: every answer tells its wait and the load, successes, failures and refusals', async (t) => {
  const fail = http((_req, res) => res.writeHead(502).end('{}'))
  const { node } = await setUp(t, fail)
  const seen = [
    await send(node.url + INVOKE),
    await send(`${node.url}/invoke/NOBODY`),
    await send(`${node.url}/t/shop/nowhere`),
    await send(`${node.url}/t/nobody/cart`),
    await send(`${node.url}/t/%zz`),
    await send(node.url + INVOKE, { method: 'GET' }),
  ]
  assert.deepEqual(
    seen.map(({ status }) => status),
    [502, 404, 404, 404, 404, 405],
  )
  assert.deepEqual(
    seen.map(({ body }) => (JSON.parse(body) as { message: string }).message),
    [
      'function failed',
      'Fn not found',
      'Trigger not found',
      'App not found',
      'Path not found: POST /t/%zz',
      'Method not allowed: GET /invoke/FN',
    ],
  )
  for (const one of seen) assertFacts(one)
  assert.deepEqual(
    seen.map(({ headers }) => headers['fn-origin']),
    ['function', ...Array(5).fill('platform')],
  )
})

test('a detached call is refused, and does not run', async (t) => {
  const { node, driver } = await setUp(t, hello())
  for (const type of ['detached', 'Detached']) {
    const seen = await send(node.url + INVOKE, { headers: { 'Fn-Invoke-Type': type } })
    assertFacts(seen)
    assert.deepEqual([seen.status, seen.headers['fn-origin']], [501, 'platform'])
    const { message, detail } = JSON.parse(seen.body) as { message: string; detail: string }
    assert.equal(message, 'Detach call functions are not supported on this server')
    assert.match(detail, /do not work yet: leave out Fn-Invoke-Type/)
  }
  assert.equal(driver.started, 0)
  for (const [path, type] of [
    [INVOKE, 'sync'],
    ['/t/shop/cart', 'detached'],
  ])
    assert.equal((await send(node.url + path, { headers: { 'Fn-Invoke-Type': type as string } })).status, 200)
})

test('row 54: the wait leaves out the execution', async (t) => {
  const { node } = await setUp(
    t,
    http((_req, res) => void setTimeout(() => res.end('late'), 300)),
  )
  const seen = await send(node.url + INVOKE)
  const timing = seen.headers['server-timing'] as string
  assert.ok(Number(/run;dur=([\d.]+)/.exec(timing)?.[1]) >= 299)
  assert.ok((parseDuration(seen.headers['fxlb-wait'] as string) as number) < 299)
})

test('a function gets the headers of the contract, and none that are between others', async (t) => {
  const { promise, resolve } = Promise.withResolvers<[IncomingMessage, string]>()
  const { node } = await setUp(
    t,
    http((req, res, body) => {
      resolve([req, body])
      res.end()
    }),
  )
  await send(node.url + INVOKE, {
    headers: {
      'Content-Type': 'text/x-test',
      'X-Many': ['a', 'b'],
      Connection: 'close, X-Private',
      'X-Private': 'mine',
      'Fn-Load': 'run=0',
      'Fn-Intent': 'mine',
      Te: 'gzip',
    },
    body: 'hi',
  })
  const [req, body] = await promise
  assert.equal(`${req.method} ${req.url} ${body}`, 'POST /call hi')
  assert.equal(req.headers['content-type'], 'text/x-test')
  assert.equal(req.headers['x-many'], 'a, b')
  assert.equal(req.headers['fn-intent'], 'mine')
  assert.ok(isId(req.headers['fn-call-id'] as string))
  assert.match(req.headers['fn-deadline'] as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  for (const name of ['x-private', 'fn-load', 'te']) assert.equal(req.headers[name], undefined, name)
  assert.equal(req.headers.host, 'localhost')
})

test('a function cannot forge what only a node may say', async (t) => {
  const forged = {
    'FXLB-WAIT': '1h',
    'Fn-Load': 'run=0',
    'Fn-Call-Id': 'forged',
    'Fn-Reject': 'busy',
    'X-Own': 'yes',
  }
  const { node } = await setUp(
    t,
    http((_req, res) => res.writeHead(200, forged).end()),
  )
  const seen = await send(node.url + INVOKE)
  assertFacts(seen)
  assert.notEqual(seen.headers['fxlb-wait'], '1h')
  assert.equal(seen.headers['fn-reject'], undefined)
  assert.equal(seen.headers['x-own'], 'yes')
})

test('a trigger wraps the request and unwraps the answer', async (t) => {
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
  const answer = {
    'Content-Type': 'text/plain',
    'Fn-Http-Status': '418',
    'Fn-Http-H-X-Tea': ['green', 'black'],
    'Fn-Http-H-Content-Length': '999',
    'Fn-Http-H-Transfer-Encoding': 'chunked',
    'Fn-Http-H-': 'nothing',
    'X-Dropped': 'yes',
  }
  const { node } = await setUp(
    t,
    http((req, res) => {
      resolve(req)
      res.writeHead(200, answer).end('tea')
    }),
  )
  const seen = await send(`${node.url}/t/shop/cart?n=1`, {
    method: 'PUT',
    headers: { 'X-Foo': 'bar', 'Fn-Deadline': 'x' },
    body: 'b',
  })
  const req = await promise
  assert.equal(req.headers['fn-intent'], 'httprequest')
  assert.equal(req.headers['fn-http-method'], 'PUT')
  assert.equal(req.headers['fn-http-request-url'], `${node.url}/t/shop/cart?n=1`)
  assert.equal(req.headers['fn-http-h-x-foo'], 'bar')
  assert.equal(req.headers['x-foo'], undefined)
  assert.equal(seen.status, 418)
  assert.equal(seen.body, 'tea')
  assert.equal(seen.headers['x-tea'], 'green, black')
  assert.equal(seen.headers['x-dropped'], undefined)
  assert.equal(seen.headers['fn-function'], `${FN} /cart`)
})

test('what a path holds for the parameters of its trigger reaches the function', async (t) => {
  const seen: unknown[] = []
  const { node, store } = await setUp(
    t,
    http((req, res) => {
      seen.push(req.headers['fn-http-params'])
      res.end()
    }),
  )
  await store.triggers.insert({
    id: 'USERS',
    name: 'users',
    app_id: 'APP',
    fn_id: FN,
    type: 'http',
    source: '/users/:id/*rest',
    annotations: {},
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
  })
  const { status, headers } = await until('the trigger to be known', async () => {
    const reply = await send(`${node.url}/t/shop/users/a%2Fb/c%0d%0aX: 1?n=1`, { method: 'GET' })
    return reply.status === 200 ? reply : undefined
  })
  assert.equal(status, 200)
  assert.equal(headers['fn-function'], `${FN} /users/:id/*rest`)
  await send(`${node.url}/t/shop/cart`, { headers: { 'Fn-Http-Params': 'forged=1' } })
  assert.deepEqual(seen, ['id=a%2Fb&rest=%2Fc%0D%0AX%3A+1', undefined])
})

test('a status outside 200 to 599 is not passed on, and HEAD has no body', async (t) => {
  const { node } = await setUp(
    t,
    http((_req, res) => res.writeHead(200, { 'Fn-Http-Status': '99' }).end('body')),
  )
  assert.equal((await send(`${node.url}/t/shop/cart`)).status, 200)
  assert.equal((await send(`${node.url}/t/shop/cart`, { method: 'HEAD' })).body, '')
})

test('a call that may only take a warm instance is refused before its body, then taken', async (t) => {
  const { node, driver } = await setUp(t, hello())
  const warmOnly = { 'Fn-Warm-Only': '1' }
  const refused = await send(node.url + INVOKE, { headers: { ...warmOnly, 'Content-Length': String(1e9) } })
  assert.equal(refused.status, 503)
  assert.equal(refused.headers['fn-reject'], 'busy')
  assert.equal(driver.started, 0)
  const first = await send(node.url + INVOKE)
  assert.equal(parseLoad(first.headers['fn-load'] as string)?.idle, 1)
  assert.equal((await send(node.url + INVOKE, { headers: warmOnly })).body, 'hello')
})

test('a body beyond the limit is 413, with and without a length', async (t) => {
  const { node } = await setUp(t, hello(), { node: { maxRequestSize: 10 } })
  const long = 'x'.repeat(11)
  const told = await send(node.url + INVOKE, { body: long, headers: { 'Content-Length': '11' } })
  assert.equal(told.status, 413)
  assert.match(told.body, /Content-Length too large for this server, 11 > max 10/)
  const untold = await send(node.url + INVOKE, { body: long, headers: { 'Transfer-Encoding': 'chunked' } })
  assert.equal(untold.status, 413)
  assert.equal((await send(node.url + INVOKE, { body: 'short' })).status, 200)
})

test('garbage on the socket is 502, and the container is not used again', async (t) => {
  const garbage = createNetServer((connection) =>
    connection.on('data', () => connection.end('not http at all\r\n\r\n')),
  )
  const { node, driver } = await setUp(t, garbage)
  const seen = await send(node.url + INVOKE)
  assert.equal(seen.status, 502)
  assert.equal((JSON.parse(seen.body) as { message: string }).message, 'error receiving function response')
  assert.deepEqual(driver.stopped, ['killed'])
})

test('the execution timeout is 504, and a late answer reaches nobody', async (t) => {
  let calls = 0
  const serve = http((_req, res) => {
    if (++calls === 1) setTimeout(() => res.end('too late'), 1_500)
    else res.end('mine')
  })
  const { node, driver } = await setUp(t, serve, { fn: { timeout: 1 } })
  const slow = await send(node.url + INVOKE)
  assert.equal(slow.status, 504)
  assert.match(slow.body, /Timed out/)
  assert.equal((await send(node.url + INVOKE)).body, 'mine')
  assert.deepEqual(driver.stopped, ['killed'])
})

test("the deadline of a call is the earlier of its caller's and the timeout", async (t) => {
  const { node } = await setUp(
    t,
    http((req, res) => res.end(req.headers['fn-deadline'])),
    { fn: { timeout: 300 } },
  )
  const soon = new Date(Date.now() + 20_000).toISOString()
  const asked = await send(node.url + INVOKE, { headers: { 'Fn-Deadline': soon } })
  assert.equal(asked.body.slice(0, 18), soon.slice(0, 18))
  const passed = await send(node.url + INVOKE, { headers: { 'Fn-Deadline': '2020-01-01T00:00:00Z' } })
  assert.equal(passed.status, 504)
  const own = Date.parse((await send(node.url + INVOKE)).body)
  assert.ok(own > Date.now() + 290_000)
})

test('a change made through this node, or through another handle of its store, is in force soon', async (t) => {
  const { node, store, file, driver } = await setUp(t, hello())
  await send(node.url + INVOKE)
  const put = await send(`${node.url}/v2/fns/${FN}`, { method: 'PUT', body: '{"config":{"A":"1"}}' })
  assert.equal(put.status, 200, put.body)
  await send(node.url + INVOKE)
  assert.equal(driver.started, 2)
  await using other = await sqliteStore({ file })
  await other.fns.remove(FN)
  await until('the removal', async () => (await send(node.url + INVOKE)).status === 404)
  assert.equal(await store.fns.get(FN), undefined)
})

test('a node that stops refuses new calls retryably and finishes the running one', async (t) => {
  const { promise: called, resolve } = Promise.withResolvers<ServerResponse>()
  const { node } = await setUp(
    t,
    http((_req, res) => resolve(res)),
  )
  const running = send(node.url + INVOKE)
  const res = await called
  const closed = node[Symbol.asyncDispose]()
  const refused = await send(node.url + INVOKE)
  assert.equal(refused.status, 503)
  assert.equal(refused.headers['fn-reject'], 'draining')
  res.end('finished')
  assert.equal((await running).body, 'finished')
  await closed
})

test('a mock driver serves a node of its own', async (t) => {
  const mock = mockDriver({ clock: systemClock, random: seededRandom(1) })
  t.after(() => mock[Symbol.asyncDispose]())
  const { node } = await setUp(t, hello(), { node: { driver: mock } })
  assert.equal((await send(node.url + INVOKE, { body: 'echo' })).body, 'echo')
})

test('a request target of another form is no path here', async (t) => {
  const { node } = await setUp(t, hello())
  for (const [target, status] of [
    ['ftp://elsewhere/version', 404],
    [`http://elsewhere${INVOKE}`, 200],
    ['http://elsewhere/version?x=1', 405],
  ] as const) {
    const { hostname, port } = new URL(node.url)
    const answered = await new Promise<number | undefined>((resolve, reject) => {
      const call = request({ hostname, port, path: target, method: 'POST', agent: false }, (res) => {
        res.resume()
        resolve(res.statusCode)
      })
      call.on('error', reject).end()
    })
    assert.equal(answered, status, target)
  }
})
