import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiServer } from '../../test/support/api-server.ts'
import { SluiceError } from '../core/errors.ts'
import { silentLogger } from '../core/logger.ts'
import type { Store } from '../store/store.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

test('an unknown path is 404 and a wrong verb 405, whatever the body holds', async () => {
  await using api = await apiServer()
  for (const [method, path, status, message] of [
    ['GET', '/x', 404, 'Path not found: GET /x'],
    ['GET', '/v2', 404, 'Path not found: GET /v2'],
    ['POST', '/v2/caf%C3%A9?q=1', 404, 'Path not found: POST /v2/café'],
    ['DELETE', '/v2/apps/a/b', 404, 'Path not found: DELETE /v2/apps/a/b'],
    ['PUT', '/v2/apps/', 404, 'Path not found: PUT /v2/apps/'],
    ['GET', '/v2/fns//calls', 404, 'Path not found: GET /v2/fns//calls'],
    ['GET', '/v2/apps//', 404, 'Path not found: GET /v2/apps//'],
    ['PATCH', '/v2/apps', 405, 'Method not allowed: PATCH /v2/apps'],
    ['PATCH', '/v2/apps/', 404, 'Path not found: PATCH /v2/apps/'],
    ['POST', '/v2/fns/x', 405, 'Method not allowed: POST /v2/fns/x'],
    ['OPTIONS', '/v2/triggers/x?a=b', 405, 'Method not allowed: OPTIONS /v2/triggers/x'],
    ['POST', '/v2/fns/x/calls/y/log', 405, 'Method not allowed: POST /v2/fns/x/calls/y/log'],
    ['POST', `/v2/bundles/x`, 405, 'Method not allowed: POST /v2/bundles/x'],
  ] as const) {
    const body = method === 'GET' ? undefined : '{"bad json'
    const reply = await api.send(method, path, body, { 'content-type': 'application/json' })
    assert.deepEqual([reply.status, reply.text], [status, `${JSON.stringify({ message })}\n`])
    assert.equal(reply.headers['content-type'], JSON_TYPE)
  }
})

test('HEAD is not served under /v2', async () => {
  await using api = await apiServer()
  for (const path of ['/v2/apps', '/v2/fns/x', '/v2/triggers']) {
    const reply = await api.send('HEAD', path)
    assert.deepEqual([reply.status, reply.text], [405, ''], path)
  }
})

test('a trailing slash redirects: 301 for GET, 307 for other verbs', async () => {
  await using api = await apiServer()
  for (const [method, path, status, location] of [
    ['GET', '/v2/apps/?name=a&b', 301, '/v2/apps?name=a&b'],
    ['POST', '/v2/apps/', 307, '/v2/apps'],
    ['PUT', '/v2/fns/x/', 307, '/v2/fns/x'],
    ['GET', '/v2/triggers/', 301, '/v2/triggers'],
    ['GET', '/v2/fns/x/calls/', 301, '/v2/fns/x/calls'],
  ] as const) {
    const reply = await api.send(method, path)
    assert.deepEqual([reply.status, reply.headers['location']], [status, location])
  }
})

test('calls and logs are gone', async () => {
  await using api = await apiServer()
  for (const path of ['/v2/fns/x/calls', '/v2/fns/x/calls/y', '/v2/fns/x/calls/y/log']) {
    const reply = await api.send('GET', path)
    assert.deepEqual([reply.status, reply.text], [410, ''])
  }
})

test('a path that cannot be decoded is a bad request', async () => {
  await using api = await apiServer()
  const reply = await api.send('GET', '/v2/apps/%zz')
  assert.equal(reply.status, 400)
  assert.equal(reply.headers['content-type'], JSON_TYPE)
  assert.equal(reply.json.message, 'Invalid request')
})

test('an unexpected error is logged, and its text kept from the client', async () => {
  const logged: object[] = []
  const log = { ...silentLogger, error: (fields: object) => void logged.push(fields) }
  const failure = new Error('password is 1234')
  await using api = await apiServer({ store: failing(failure) }, log)
  const reply = await api.send('GET', '/v2/apps?name=x')
  assert.deepEqual([reply.status, reply.text], [500, '{"message":"internal server error"}\n'])
  assert.deepEqual(logged, [{ err: failure, code: 'internal', method: 'GET', path: '/v2/apps' }])
})

test('a store that is away is 503, and its cause logged', async () => {
  const logged: object[] = []
  const log = { ...silentLogger, error: (fields: object) => void logged.push(fields) }
  const cause = new Error('disk I/O error')
  await using api = await apiServer(
    { store: failing(new SluiceError('store-unavailable', undefined, { cause })) },
    log,
  )
  const reply = await api.send('GET', '/v2/apps')
  assert.deepEqual([reply.status, reply.json], [503, { message: 'Store is unavailable' }])
  assert.deepEqual(logged, [{ err: cause, code: 'store-unavailable', method: 'GET', path: '/v2/apps' }])
})

function failing(error: Error): Store {
  const apps = { list: () => Promise.reject(error) }
  return { apps, [Symbol.asyncDispose]: async () => {} } as unknown as Store
}
