import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiServer } from '../../test/support/api-server.ts'

/** What the official command line sends, call by call (api-v2 §10), over a socket. */
async function client(base: string) {
  const call = async (method: string, path: string, body?: object) => {
    const reply = await fetch(base + path, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await reply.text()
    return { status: reply.status, json: text === '' ? undefined : JSON.parse(text) }
  }
  /** Resolves a name: the first item. */
  const find = async (path: string) => (await call('GET', path)).json.items[0]
  return {
    call,
    app: (name: string) => find(`/v2/apps?name=${name}`),
    fn: (appId: string, name: string) => find(`/v2/fns?app_id=${appId}&name=${name}`),
    trigger: (appId: string, fnId: string, name: string) =>
      find(`/v2/triggers?app_id=${appId}&fn_id=${fnId}&name=${name}`),
  }
}

const NEVER = { created_at: '0001-01-01T00:00:00.000Z', updated_at: '0001-01-01T00:00:00.000Z' }

async function started() {
  const api = await apiServer()
  const fn = await client(await api.fastify.listen({ host: '127.0.0.1', port: 0 }))
  return { api, fn, [Symbol.asyncDispose]: api[Symbol.asyncDispose] }
}

test('create, config, unset and update an app', async () => {
  await using it = await started()
  const { fn } = it
  assert.equal((await fn.call('POST', '/v2/apps', { name: 'shop', ...NEVER })).status, 200)
  const app = await fn.app('shop')
  await fn.call('PUT', `/v2/apps/${app.id}`, { ...app, config: { K: 'v', L: 'w' } })
  await fn.call('PUT', `/v2/apps/${app.id}`, { ...(await fn.app('shop')), config: { K: '' } })
  assert.deepEqual((await fn.app('shop')).config, { L: 'w' })
  await fn.call('PUT', `/v2/apps/${app.id}`, { ...(await fn.app('shop')), syslog_url: 'tcp://log:1' })
  const last = await fn.app('shop')
  assert.deepEqual([last.config, last.syslog_url], [{ L: 'w' }, 'tcp://log:1'])
})

test('a whole function that was read is put back with a change', async () => {
  await using it = await started()
  const { fn, api } = it
  const app = (await fn.call('POST', '/v2/apps', { name: 'shop', ...NEVER })).json
  const body = {
    name: 'cart',
    app_id: app.id,
    image: 'img:1',
    ...NEVER,
    annotations: { mine: [1] },
    max_wait: 9,
  }
  assert.equal((await fn.call('POST', '/v2/fns', body)).status, 200)
  const read = await fn.fn(app.id, 'cart')
  assert.ok('fnproject.io/fn/invokeEndpoint' in read.annotations)
  const put = await fn.call('PUT', `/v2/fns/${read.id}`, { ...read, memory: 512 })
  assert.equal(put.status, 200)
  assert.deepEqual(await fn.fn(app.id, 'cart'), { ...read, memory: 512 })
  assert.deepEqual((await api.store.fns.get(read.id))?.annotations, { mine: [1] })
})

test('deploy creates an app, a function and a trigger, and the next one updates them', async () => {
  await using it = await started()
  const { fn } = it
  assert.equal(await fn.app('shop'), undefined)
  const app = (await fn.call('POST', '/v2/apps', { name: 'shop', ...NEVER })).json
  assert.equal(await fn.fn(app.id, 'cart'), undefined)
  const file = { name: 'cart', image: 'img:0.0.1', memory: 256, config: { A: '1' } }
  const made = (await fn.call('POST', '/v2/fns', { ...file, app_id: app.id, ...NEVER })).json
  await fn.call('PUT', `/v2/fns/${made.id}`, { id: made.id, min_warm: 3, annotations: { mine: 1 } })
  assert.equal(await fn.trigger(app.id, made.id, 'web'), undefined)
  const trigger = { name: 'web', app_id: app.id, fn_id: made.id, type: 'http', source: '/web', ...NEVER }
  assert.equal((await fn.call('POST', '/v2/triggers', trigger)).status, 200)

  // Only what the function's file says, and the id.
  const next = { id: made.id, name: 'cart', image: 'img:0.0.2', timeout: 60, config: { B: '2' }, ...NEVER }
  assert.equal((await fn.call('PUT', `/v2/fns/${made.id}`, next)).status, 200)
  const found = await fn.fn(app.id, 'cart')
  assert.deepEqual(found, {
    ...made,
    image: 'img:0.0.2',
    timeout: 60,
    config: { A: '1', B: '2' },
    min_warm: 3,
    annotations: { ...made.annotations, mine: 1 },
  })
  const old = await fn.trigger(app.id, made.id, 'web')
  const again = await fn.call('PUT', `/v2/triggers/${old.id}`, { ...trigger, id: old.id, source: '/web2' })
  assert.equal(again.status, 200)
  assert.match(again.json.annotations['fnproject.io/trigger/httpEndpoint'], /\/t\/shop\/web2$/)
})

test('delete app -r removes triggers, functions, then the app', async () => {
  await using it = await started()
  const { fn } = it
  const app = (await fn.call('POST', '/v2/apps', { name: 'shop' })).json
  const made = (await fn.call('POST', '/v2/fns', { name: 'f', app_id: app.id, image: 'i' })).json
  await fn.call('POST', '/v2/triggers', {
    name: 't',
    app_id: app.id,
    fn_id: made.id,
    type: 'http',
    source: '/',
  })
  const triggers = (await fn.call('GET', `/v2/triggers?app_id=${app.id}&fn_id=${made.id}`)).json.items
  for (const { id } of triggers) assert.equal((await fn.call('DELETE', `/v2/triggers/${id}`)).status, 204)
  assert.equal((await fn.call('DELETE', `/v2/fns/${made.id}`)).status, 204)
  assert.equal((await fn.call('DELETE', `/v2/apps/${app.id}`)).status, 204)
  assert.equal(await fn.app('shop'), undefined)
})
