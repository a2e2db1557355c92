import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { clean, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE, type NodeRig, setUpNode } from '../support/node-rig.ts'
import { rawCaller, requestOf } from '../support/raw-caller.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const TRIGGER = '/t/shop/cart'
const CLOSE = 'Connection: close\r\n'

/** What a function is told of a call. */
interface Told {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly trailers: readonly string[]
  readonly body: string
}

/** A function that answers with what it was told. */
function mirror(): Server {
  return createServer({ maxHeaderSize: 4 * MIB }, (req, res) =>
    text(req).then(
      (body) => {
        const { method, headers, rawTrailers: trailers } = req
        res.end(JSON.stringify({ method, headers, trailers, body }))
      },
      () => {}, // the caller has gone
    ),
  )
}

/** Sends raw bytes and reads until the node closes; then checks that the next caller is served. */
async function exchange(
  t: TestContext,
  bytes: string,
  over: Parameters<typeof setUpNode>[2] = {},
): Promise<string> {
  const rig = await setUpNode(t, mirror(), over)
  const seen = await rawCaller(rig.node, bytes).closed
  assert.equal((await told(rig, requestOf(INVOKE, 'next', CLOSE))).body, 'next')
  return seen
}

async function told({ node }: NodeRig, bytes: string): Promise<Told> {
  return toldIn(await rawCaller(node, bytes).closed)
}

const statusOf = (seen: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(seen)?.[1])
const bodyOf = (seen: string) => seen.slice(seen.indexOf('\r\n\r\n') + 4)
const toldIn = (seen: string): Told => JSON.parse(bodyOf(seen)) as Told

for (const method of [
  'GET',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PURGE',
  'PROPFIND',
  'QUERY',
  'M-SEARCH',
]) {
  test(`a trigger takes ${method} with a body, and the function hears of it`, async (t) => {
    const seen = toldIn(await exchange(t, requestOf(`${TRIGGER}?a=b`, 'body', CLOSE, method)))
    assert.equal(seen.method, 'POST')
    assert.equal(seen.headers['fn-http-method'], method)
    assert.equal(seen.headers['fn-http-request-url'], `http://node.test${TRIGGER}?a=b`)
    assert.equal(seen.body, 'body')
  })
}

test('HEAD of a trigger calls the function and gives no body', async (t) => {
  const seen = await exchange(t, requestOf(TRIGGER, '', CLOSE, 'HEAD'))
  assert.deepEqual([statusOf(seen), bodyOf(seen)], [200, ''])
})

for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PURGE']) {
  test(`a function is not invoked by ${method}`, async (t) => {
    assert.equal(statusOf(await exchange(t, requestOf(INVOKE, 'body', CLOSE, method))), 405)
  })
}

/** Targets that lead nowhere, and why. */
const nowhere: readonly [string, string][] = [
  ['//invoke/FN', 'Path not found: POST //invoke/FN'],
  ['/invoke//FN', 'Path not found: POST /invoke//FN'],
  ['/invoke/FN/', 'Path not found: POST /invoke/FN/'],
  ['/invoke/', 'Path not found: POST /invoke/'],
  ['/INVOKE/FN', 'Path not found: POST /INVOKE/FN'],
  ['/x/../invoke/FN', 'Path not found: POST /x/../invoke/FN'],
  ['/invoke/%46N', 'Fn not found'],
  ['/invoke/FN%2F', 'Fn not found'],
  ['/invoke/../FN', 'Path not found: POST /invoke/../FN'],
  ['/invoke/__proto__', 'Fn not found'],
  ['/t/shop/cart/', 'Trigger not found'],
  ['/t/shop//cart', 'Trigger not found'],
  ['/t/shop/../shop/cart', 'Trigger not found'],
  ['/t/shop/%2e%2e/shop/cart', 'Trigger not found'],
  ['/t/shop/cart%00', 'Trigger not found'],
  ['/t/shop/cart%3Fa', 'Trigger not found'],
  ['/t/__proto__/cart', 'App not found'],
  ['/t/%', 'Path not found: POST /t/%'],
  ['/t//cart', 'Path not found: POST /t//cart'],
]
for (const [target, message] of nowhere) {
  test(`${target} calls nothing`, async (t) => {
    const seen = await exchange(t, requestOf(target, 'x', CLOSE))
    assert.equal(statusOf(seen), 404)
    assert.equal((JSON.parse(bodyOf(seen)) as { message: string }).message, message)
  })
}

for (const target of ['/t/sh%6fp/c%61rt', '/t/shop%2Fcart', '/t/shop/cart?', '/t/shop/cart?/../%zz']) {
  test(`${target} is the trigger, and its function sees it as it was sent`, async (t) => {
    const { headers } = toldIn(await exchange(t, requestOf(target, 'x', CLOSE)))
    assert.equal(headers['fn-http-request-url'], `http://node.test${target}`)
  })
}

test('a target that names its host is called like any other', async (t) => {
  for (const path of [INVOKE, TRIGGER])
    assert.equal(statusOf(await exchange(t, requestOf(`http://node.test${path}`, 'x', CLOSE))), 200)
})

test('a target of 900 KB is called, one of 2 MB is refused', async (t) => {
  const query = 'q'.repeat(900_000)
  const seen = toldIn(await exchange(t, requestOf(`${TRIGGER}?${query}`, 'x', CLOSE)))
  assert.equal(seen.headers['fn-http-request-url'], `http://node.test${TRIGGER}?${query}`)
  const long = await exchange(t, requestOf(`${INVOKE}?${'q'.repeat(2 * MIB)}`, 'x', CLOSE))
  assert.equal(statusOf(long), 431)
})

const bombs: Readonly<Record<string, string>> = {
  'one header of 2 MiB': `X-Big: ${'x'.repeat(2 * MIB)}\r\n`,
  '100,000 headers': 'X-Many: of these\r\n'.repeat(100_000),
}
for (const [name, headers] of Object.entries(bombs)) {
  test(`${name} are refused before the function hears of them`, async (t) => {
    assert.equal(statusOf(await exchange(t, requestOf(INVOKE, 'x', headers))), 431)
  })
}

/** Whose end two readers may see in different places. */
const ambiguous: Readonly<Record<string, string>> = {
  'a length and chunks': requestOf(INVOKE, '0\r\n\r\n', 'Transfer-Encoding: chunked\r\n'),
  'two lengths': requestOf(INVOKE, 'four', 'Content-Length: 3\r\n'),
  'a signed length': requestOf(INVOKE).replace('Length: 0', 'Length: +0'),
  'a folded header': requestOf(INVOKE, 'x', 'X-A: a\r\n b\r\n'),
  'a space before a colon': requestOf(INVOKE, 'x', 'X-A : a\r\n'),
  'a NUL in a header': requestOf(INVOKE, 'x', 'X-A: a\0b\r\n'),
  'a coding that is not chunked last': requestOf(INVOKE).replace(
    'Content-Length: 0',
    'Transfer-Encoding: chunked, gzip',
  ),
  'no host': requestOf(INVOKE, 'x', CLOSE).replace('Host: node.test\r\n', ''),
  'an unknown method': requestOf(INVOKE, 'x', '', 'BREW'),
}
for (const [name, bytes] of Object.entries(ambiguous)) {
  test(`a request with ${name} is refused`, async (t) => {
    assert.equal(statusOf(await exchange(t, bytes)), 400)
  })
}

test('a body in a coding besides chunked is refused', async (t) => {
  const head = requestOf(INVOKE, '', CLOSE).replace('Content-Length: 0', 'Transfer-Encoding: gzip, chunked')
  assert.equal(statusOf(await exchange(t, `${head}4\r\ncode\r\n0\r\n\r\n`)), 501)
})

test('trailers of a request end at the node, and its body arrives whole', async (t) => {
  const head = requestOf(INVOKE, '', `${CLOSE}Trailer: X-After\r\n`).replace(
    'Content-Length: 0',
    'Transfer-Encoding: chunked',
  )
  const seen = toldIn(
    await exchange(t, `${head}3\r\none\r\n5;x=y\r\n two!\r\n0\r\nX-After: all\r\nFn-Call-Id: x\r\n\r\n`),
  )
  assert.deepEqual([seen.body, seen.trailers, seen.headers['trailer']], ['one two!', [], undefined])
  assert.notEqual(seen.headers['fn-call-id'], 'x')
})

test('what a caller says of the platform is overruled, as a caller of a trigger too', async (t) => {
  const lies = ['Fn-Http-Method: EVIL', 'Fn-Intent: other', 'Fn-Http-Request-Url: evil', 'Fn-Load: run=0']
  const { headers } = toldIn(await exchange(t, requestOf(TRIGGER, 'x', `${lies.join('\r\n')}\r\n${CLOSE}`)))
  assert.equal(headers['fn-intent'], 'httprequest')
  assert.equal(headers['fn-http-method'], 'POST')
  assert.equal(headers['fn-http-request-url'], `http://node.test${TRIGGER}`)
  assert.equal(headers['fn-http-h-fn-intent'], 'other')
  assert.equal(headers['fn-http-h-fn-load'], undefined)
})

const WEEK = 7 * 24 * 3_600_000
const deadlines: readonly [string, string, number][] = [
  ['in the past', new Date(Date.now() - 1_000).toISOString(), 504],
  ['long past', '1970-01-01T00:00:00Z', 504],
  ['of the year 0', '0000-01-01T00:00:00Z', 504],
  ['before all time', '-271821-04-20T00:00:00Z', 200],
  ['in a week', new Date(Date.now() + WEEK).toISOString(), 200],
  ['after the year 9999', '+275760-09-13T00:00:00Z', 200],
  ['beyond all time', '+999999-01-01T00:00:00Z', 200],
  ['that is no time', 'tomorrow', 200],
  ['that is empty', '', 200],
  ['that is a number', '1', 200],
]
for (const [name, deadline, status] of deadlines) {
  test(`a call with a deadline ${name} is ${status}, and its function hears of no later one than its timeout`, async (t) => {
    const seen = await exchange(t, requestOf(INVOKE, 'x', `Fn-Deadline: ${deadline}\r\n${CLOSE}`))
    assert.equal(statusOf(seen), status)
    if (status === 200) {
      const told = toldIn(seen).headers['fn-deadline'] as string
      assert.match(told, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.ok(Date.parse(told) <= Date.now() + 30_000)
    }
  })
}

test('requests in one go on one connection get their answers in order', async (t) => {
  const rig = await setUpNode(t, mirror(), { fn: { max_concurrency: 1 } })
  const bodies = ['one', 'two', 'three', 'four']
  const bytes = bodies.map((body) => requestOf(INVOKE, body, body === 'four' ? CLOSE : '')).join('')
  const seen = await rawCaller(rig.node, bytes).closed
  const answers = seen.split(/(?=HTTP\/1\.1 )/).map((one) => toldIn(one).body)
  assert.deepEqual(answers, bodies)
})

test('requests in one go, of which one is refused and one fails, get their own answers in order', async (t) => {
  const rig = await setUpNode(t, mirror())
  const bytes = [
    requestOf(INVOKE, 'one'),
    requestOf('/invoke/NOBODY', 'two'),
    requestOf(INVOKE, 'three', 'Fn-Deadline: 1970-01-01T00:00:00Z\r\n'),
    requestOf('/version', '', '', 'GET'),
    requestOf(INVOKE, 'five', CLOSE),
  ].join('')
  const seen = (await rawCaller(rig.node, bytes).closed).split(/(?=HTTP\/1\.1 )/)
  assert.deepEqual(seen.map(statusOf), [200, 404, 504, 200, 200])
  assert.deepEqual(
    [seen[0], seen[4]].map((one) => toldIn(one as string).body),
    ['one', 'five'],
  )
})

test('a body that grows beyond the limit is refused, and its connection closed while it still comes', async (t) => {
  const rig = await setUpFaults(t, { node: { maxRequestSize: 1_000 } })
  const head = requestOf(INVOKE).replace('Content-Length: 0', 'Transfer-Encoding: chunked')
  const caller = rawCaller(rig.node, head)
  const chunk = `3e8\r\n${'x'.repeat(1_000)}\r\n`
  caller.socket.write(chunk)
  const timer = setInterval(() => caller.socket.write(chunk), 1)
  t.after(() => clearInterval(timer))
  const seen = await caller.closed
  assert.equal(statusOf(seen), 413)
  await until('the container to be let go', () => rig.driver.stopped.length === 1)
  assert.equal(await clean(rig, 'next'), '200 own:next')
  await rig.end()
})
