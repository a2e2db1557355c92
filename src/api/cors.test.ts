import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiServer, apiServer, type Reply } from '../../test/support/api-server.ts'
import { tokenCheck } from '../host/token.ts'

const APP = 'https://app.example.com'
const OTHER = 'https://other.example.com'

const allowing = (origins: readonly string[], headers: readonly string[] = []) =>
  apiServer({ cors: { origins, headers }, allowed: tokenCheck('secret') })

const TOKEN = { authorization: 'Bearer secret' }

/** What a browser asks before it sends for a page. */
const askAhead = (api: ApiServer, origin: string, path = '/v2/apps', more: Record<string, string> = {}) =>
  api.send('OPTIONS', path, undefined, { origin, 'access-control-request-method': 'PUT', ...more })

/** The headers that this is about. */
const told = ({ headers }: Reply) =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => name === 'vary' || name.startsWith('access-control-')),
  )

test('without origins no reply says anything, and OPTIONS is a verb like any', async () => {
  for (const cors of [undefined, { origins: [], headers: ['X-Mine'] }]) {
    await using api = await apiServer({ cors })
    const replies = [
      await api.send('GET', '/v2/apps', undefined, { origin: APP }),
      await askAhead(api, APP),
      await askAhead(api, APP, '/v2/nowhere'),
    ]
    assert.deepEqual(
      replies.map(({ status }) => status),
      [200, 405, 404],
    )
    for (const reply of replies) assert.deepEqual(told(reply), {})
  }
})

test('a browser that asks ahead is told 204 and what its page may send, without a token', async () => {
  await using api = await allowing([OTHER, APP])
  for (const path of ['/v2/apps', '/v2/fns/any', '/v2/bundles/any']) {
    const reply = await askAhead(api, APP, path)
    assert.deepEqual([reply.status, reply.text], [204, ''])
    assert.deepEqual(told(reply), {
      vary: 'Origin',
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, POST, PUT, HEAD, DELETE',
      'access-control-allow-headers': 'Authorization, Content-Type',
      'access-control-max-age': '600',
    })
  }
})

test('a page that is not allowed is told nothing, in any spelling', async () => {
  await using api = await allowing([APP])
  for (const origin of [OTHER, 'null', `${APP}:443`, `${APP}.evil.example`, APP.toUpperCase()]) {
    const ahead = await askAhead(api, origin)
    assert.deepEqual([ahead.status, told(ahead)], [204, { vary: 'Origin' }], origin)
    const reply = await api.send('GET', '/v2/apps', undefined, { origin, ...TOKEN })
    assert.deepEqual([reply.status, told(reply)], [200, { vary: 'Origin' }], origin)
  }
})

test('a page that is allowed may read answers, and errors too', async () => {
  await using api = await allowing([APP])
  for (const [method, path, headers, status] of [
    ['GET', '/v2/apps', TOKEN, 200],
    ['GET', '/v2/apps', {}, 401],
    ['GET', '/v2/apps/none', TOKEN, 404],
    ['POST', '/v2/apps', TOKEN, 400],
    ['POST', '/v2/apps', { ...TOKEN, 'content-length': '999999999' }, 413],
  ] as const) {
    const reply = await api.send(method, path, undefined, { origin: APP, ...headers })
    assert.deepEqual(
      [reply.status, told(reply)],
      [status, { vary: 'Origin', 'access-control-allow-origin': APP }],
      `${method} ${path} ${status}`,
    )
  }
})

test('who is no page is told nothing', async () => {
  await using api = await allowing(['*'])
  assert.deepEqual(told(await api.send('GET', '/v2/apps', undefined, TOKEN)), {})
})

test('"*" allows all pages, and all headers those that were asked for', async () => {
  await using api = await allowing(['*'], ['*'])
  const asked = { 'access-control-request-headers': 'authorization,x-mine' }
  assert.deepEqual(told(await askAhead(api, OTHER, '/v2/apps', asked)), {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, POST, PUT, HEAD, DELETE',
    'access-control-allow-headers': 'authorization,x-mine',
    'access-control-max-age': '600',
  })
  const reply = await api.send('GET', '/v2/apps', undefined, { origin: OTHER, ...TOKEN })
  assert.deepEqual(told(reply), { 'access-control-allow-origin': '*' })
})

test('headers that are listed are those that are allowed', async () => {
  await using api = await allowing([APP], ['X-Mine', 'X-Yours'])
  const reply = await askAhead(api, APP)
  assert.equal(reply.headers['access-control-allow-headers'], 'X-Mine, X-Yours')
})

test('no other path becomes one that is there, and OPTIONS asks for nothing else', async () => {
  await using api = await allowing([APP])
  const replies = [
    await api.send('OPTIONS', '/v2/apps', undefined, TOKEN),
    await api.send('OPTIONS', '/v2/apps', undefined, { origin: APP, ...TOKEN }),
    await api.send('OPTIONS', '/v2/nowhere', undefined, TOKEN),
    await api.send('GET', '/v2/nowhere', undefined, TOKEN),
    await api.send('PATCH', '/v2/apps', undefined, TOKEN),
    await api.send('OPTIONS', '/', undefined, { origin: APP, 'access-control-request-method': 'GET' }),
  ]
  assert.deepEqual(
    replies.map(({ status }) => status),
    [405, 405, 404, 404, 405, 405],
  )
  assert.equal(replies[0]?.json.message, 'Method not allowed: OPTIONS /v2/apps')
})

test('without a token a foreign page changes nothing, also by a request that looks like a form', async () => {
  await using api = await apiServer({ cors: { origins: [APP], headers: [] } })
  let count = 0
  const create = async (origin: string | undefined, host = 'localhost:8080') => {
    const headers = { host, 'content-type': 'text/plain', ...(origin !== undefined && { origin }) }
    return (await api.send('POST', '/v2/apps', JSON.stringify({ name: `app${count++}` }), headers)).status
  }
  for (const foreign of [OTHER, 'null', 'http://localhost:9999', 'nonsense'])
    assert.equal(await create(foreign), 403, foreign)
  assert.equal((await api.store.apps.list({ limit: 10 })).length, 0)
  for (const own of [undefined, APP, 'http://localhost:8080', 'https://LOCALHOST:8080'])
    assert.equal(await create(own), 200, String(own))
  assert.equal((await api.send('GET', '/v2/apps', undefined, { origin: OTHER })).status, 200)
})
