import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { type FnServer, startFnServer } from '../../test/support/fn-server.ts'
import { until } from '../../test/support/until.ts'
import { systemClock, virtualClock } from '../core/clock.ts'
import { Client, type ClientOptions } from './client.ts'

const clientOf = (server: Pick<FnServer, 'url'>, options: Partial<ClientOptions> = {}) =>
  new Client({
    url: server.url,
    token: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
    ...options,
  })

const call = { body: undefined, headers: {}, timeLimit: 60_000 }

test('a name is resolved by the name filter', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  const made = await client.create('apps', { name: 'one' })
  assert.deepEqual(await client.app('one'), made)
  assert.deepEqual(server.requests.at(-1)?.query, { name: 'one' })
})

test('a server that ignores the name filter does not mislead', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = () => [200, { items: [{ id: '1', name: 'other' }] }]
  assert.equal(await client.findApp('one'), undefined)
})

test('what is not there is named, with the command that lists what is', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  await assert.rejects(client.app('one'), {
    code: 'not-found',
    message: 'App not found',
    detail: `no app is named "one" at ${server.url}; see "sluice list apps"`,
  })
})

test('a list follows the cursor to its end', async () => {
  await using server = await startFnServer({ pageSize: 2 })
  await using client = clientOf(server)
  for (const name of ['a', 'b', 'c', 'd']) await client.create('apps', { name })
  const names = (await client.list('apps')).map((app) => app.name)
  assert.deepEqual(names, ['a', 'b', 'c', 'd'])
})

test('a server whose cursor goes round in circles ends the list', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = () => [200, { items: [], next_cursor: 'again' }]
  assert.deepEqual(await client.list('apps'), [])
  assert.equal(server.requests.length, 2)
})

test('the token goes to /v2 and nowhere else', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server, { token: 'secret' })
  await client.list('apps')
  await client.version()
  await client.invoke(`${server.url}/invoke/x`, call, (answer) => answer.body.text())
  const sent = server.requests.map((request) => request.headers.authorization)
  assert.deepEqual(sent, ['Bearer secret', undefined, undefined])
})

test("an error of the server keeps its message and detail, and gets the table's code", async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  await client.create('apps', { name: 'one' })
  await assert.rejects(client.create('apps', { name: 'one' }), {
    name: 'SluiceError',
    code: 'conflict',
    message: 'App already exists',
    detail: 'app one',
  })
})

test('a message of the table finds its own code', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = () => [503, { message: 'Store is unavailable' }]
  await assert.rejects(client.list('apps'), { code: 'store-unavailable' })
})

test('an error that is no JSON is told by its status and its first words', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = (_, response) => {
    response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>')
    return 'own'
  }
  await assert.rejects(client.list('apps'), {
    code: 'internal',
    message: 'the server answered with status 502',
    detail: '<h1>Bad gateway</h1>',
  })
})

test('an answer that is no JSON says that this may be another server', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = (_, response) => {
    response.end('<h1>It works</h1>')
    return 'own'
  }
  await assert.rejects(client.list('apps'), { code: 'internal', message: /did not answer in JSON/ })
})

test('a refused token says which variable to set', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = () => [401, { message: 'Unauthorized' }]
  await assert.rejects(client.list('apps'), { code: 'unauthorized', detail: /^set FN_TOKEN/ })
  server.intercept = () => [401, { message: 'Unauthorized', detail: 'no token was sent' }]
  await assert.rejects(client.list('apps'), { detail: /^no token was sent; set FN_TOKEN/ })
})

test('without a server the error says how to start one', async () => {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  listener.close()
  await once(listener, 'close')
  await using client = clientOf({ url: `http://127.0.0.1:${port}` })
  await assert.rejects(client.list('apps'), {
    code: 'node-unreachable',
    message: `no server at http://127.0.0.1:${port}; start one with "sluice start", or set FN_API_URL to another`,
  })
})

test('a connection that breaks is told as such', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  server.intercept = (_, response) => {
    response.destroy()
    return 'own'
  }
  await assert.rejects(client.list('apps'), { code: 'node-lost', message: /^the connection to http:/ })
})

test('a server that does not answer is given up after the limit', async () => {
  await using server = await startFnServer()
  const clock = virtualClock()
  await using client = clientOf(server, { clock, timeLimit: 30_000 })
  server.intercept = () => 'own'
  const listing = assert.rejects(client.list('apps'), {
    code: 'timed-out',
    message: `no answer from ${server.url} within 30s`,
  })
  await until('the request', () => server.requests.length > 0)
  clock.advance(30_000)
  await listing
})

test('the limit of a call holds for its answer, not only for the head of it', async () => {
  await using server = await startFnServer()
  const clock = virtualClock()
  await using client = clientOf(server, { clock })
  server.intercept = (_, response) => {
    response.write('half of it')
    return 'own'
  }
  const calling = client.invoke(`${server.url}/invoke/x`, { ...call, timeLimit: 1_000 }, (answer) => {
    clock.advance(1_000)
    return answer.body.text()
  })
  await assert.rejects(calling, { code: 'timed-out' })
})

test('an abort rejects with its own reason', async () => {
  await using server = await startFnServer()
  const interrupt = new AbortController()
  await using client = clientOf(server, { signal: interrupt.signal })
  server.intercept = () => 'own'
  const listing = assert.rejects(client.list('apps'), { message: 'enough' })
  await until('the request', () => server.requests.length > 0)
  interrupt.abort(new Error('enough'))
  await listing
})

test('a path in the base URL is kept', async () => {
  await using server = await startFnServer()
  await using client = clientOf({ url: `${server.url}/behind/a/proxy` })
  await assert.rejects(client.version(), { message: 'Path not found: GET /behind/a/proxy/version' })
})

test('an address that is no http URL is refused', () => {
  for (const url of ['localhost:8080', 'ftp://host', 'nonsense'])
    assert.throws(() => clientOf({ url }), {
      code: 'invalid',
      message: 'FN_API_URL must be an http or https URL',
    })
})

test('a bundle is known once it is put', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  const tar = Buffer.from('not really a tar')
  const digest = createHash('sha256').update(tar).digest('hex')
  assert.equal(await client.hasBundle(digest), false)
  await client.putBundle(digest, tar)
  assert.equal(await client.hasBundle(digest), true)
  assert.deepEqual(server.bundles.get(digest), tar)
})

test('a bundle that the server refuses is an error with its words', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  await assert.rejects(client.putBundle('0'.repeat(64), Buffer.from('x')), {
    code: 'invalid',
    message: 'Invalid digest',
  })
})

test('a body is streamed to the function and its answer back', async () => {
  await using server = await startFnServer()
  await using client = clientOf(server)
  const body = Readable.from(['one ', 'two'])
  const text = await client.invoke(`${server.url}/invoke/x`, { ...call, body }, (answer) =>
    answer.body.text(),
  )
  assert.equal(text, '{"echo":"one two"}')
})
