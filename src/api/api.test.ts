import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { apiServer } from '../../test/support/api-server.ts'
import type { App } from '../core/words.ts'
import { tokenCheck } from '../host/token.ts'
import type { List } from './listing.ts'

const NEVER = '0001-01-01T00:00:00.000Z'
const NOW = '2026-11-24T10:00:00.000Z'
const JSON_TYPE = 'application/json; charset=utf-8'

test('an app has the fields that clients know, and leaves out the empty ones', async () => {
  await using api = await apiServer()
  const { status, headers, json } = await api.send('POST', '/v2/apps', { name: 'shop' })
  assert.equal(status, 200)
  assert.equal(headers['content-type'], JSON_TYPE)
  assert.match(json.id, /^[0-9A-HJKMNP-TV-Z]{26}$/)
  assert.deepEqual(json, { id: json.id, name: 'shop', created_at: NOW, updated_at: NOW })
  const full = {
    config: { A: '1' },
    annotations: { a: { b: 1 } },
    syslog_url: 'udp://h:1',
    shape: 'GENERIC_X86',
  }
  const other = (await api.send('POST', '/v2/apps', { name: 'full', ...full })).json
  assert.deepEqual(other, { id: other.id, name: 'full', ...full, created_at: NOW, updated_at: NOW })
})

test('a function gets defaults, the shape of its app and its endpoint', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop', shape: 'GENERIC_ARM' })).json
  const body = { name: 'cart', app_id: app.id, image: 'img', memory: 0, timeout: 0, shape: 'GENERIC_X86' }
  const { json } = await api.send('POST', '/v2/fns', body, { host: 'node:8080' })
  assert.deepEqual(json, {
    id: json.id,
    name: 'cart',
    app_id: app.id,
    image: 'img',
    memory: 128,
    timeout: 30,
    idle_timeout: 30,
    config: {},
    annotations: { 'fnproject.io/fn/invokeEndpoint': `http://node:8080/invoke/${json.id}` },
    shape: 'GENERIC_ARM',
    created_at: NOW,
    updated_at: NOW,
    format: 'http-stream',
    cpus: 0,
    tmpfs_size: 0,
    concurrency: 1,
    max_concurrency: 0,
    start_timeout: 5,
    max_wait: 30,
    min_warm: 0,
    async: false,
    network: false,
  })
})

test('endpoints are on every reply: one, list, create and update', async () => {
  await using api = await apiServer({ publicUrl: 'https://fn.example.org/' })
  const app = (await api.send('POST', '/v2/apps', { name: 'größe' })).json
  const made = await api.send('POST', '/v2/fns', { name: 'f', app_id: app.id, image: 'img' })
  const fn = made.json
  const fnReplies = [
    fn,
    (await api.send('GET', `/v2/fns/${fn.id}`)).json,
    (await api.send('GET', `/v2/fns?app_id=${app.id}`)).json.items[0],
    (await api.send('PUT', `/v2/fns/${fn.id}`, { memory: 256 })).json,
  ]
  for (const { annotations } of fnReplies)
    assert.deepEqual(annotations, {
      'fnproject.io/fn/invokeEndpoint': `https://fn.example.org/invoke/${fn.id}`,
    })
  const body = { name: 't', app_id: app.id, fn_id: fn.id, type: 'http', source: '/a b?c#d%/é' }
  const trigger = (await api.send('POST', '/v2/triggers', body)).json
  const triggerReplies = [
    trigger,
    (await api.send('GET', `/v2/triggers/${trigger.id}`)).json,
    (await api.send('GET', `/v2/triggers?app_id=${app.id}`)).json.items[0],
    (await api.send('PUT', `/v2/triggers/${trigger.id}`, { name: 'u' })).json,
  ]
  for (const { annotations } of triggerReplies)
    assert.deepEqual(annotations, {
      'fnproject.io/trigger/httpEndpoint': 'https://fn.example.org/t/gr%C3%B6%C3%9Fe/a%20b%3Fc%23d%25/%C3%A9',
    })
})

test('update merges config and annotations by key, "" deletes, the rest is left alone', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop', syslog_url: 'tcp://h' })).json
  const body = {
    name: 'f',
    app_id: app.id,
    image: 'img',
    timeout: 9,
    config: { A: '1', B: '2' },
    max_wait: 7,
  }
  const fn = (await api.send('POST', '/v2/fns', { ...body, annotations: { a: 1, b: 2 } })).json
  const change = {
    config: { A: '9', B: '', C: '3', D: '' },
    annotations: { a: 0, b: '' },
    image: '',
    min_warm: 2,
  }
  api.clock.advance(1_000)
  const changed = (await api.send('PUT', `/v2/fns/${fn.id}`, change)).json
  const { annotations, ...rest } = changed
  assert.deepEqual(rest, {
    ...Object.fromEntries(Object.entries(fn).filter(([key]) => key !== 'annotations')),
    config: { A: '9', C: '3' },
    min_warm: 2,
    updated_at: '2026-11-24T10:00:01.000Z',
  })
  assert.equal(annotations.a, 0)
  assert.ok(!('b' in annotations))
  assert.equal(
    (await api.send('PUT', `/v2/apps/${app.id}`, { config: { X: '1' } })).json.syslog_url,
    'tcp://h',
  )
  assert.ok(!('syslog_url' in (await api.send('PUT', `/v2/apps/${app.id}`, { syslog_url: '' })).json))
})

test('an update that changes nothing keeps updated_at and the version', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop', config: { A: '1' } })).json
  const before = await api.store.version()
  api.clock.advance(1_000)
  const same = (await api.send('PUT', `/v2/apps/${app.id}`, { ...app, config: { A: '1', GONE: '' } })).json
  assert.deepEqual(same, app)
  assert.equal(await api.store.version(), before)
})

test('the times and fixed fields that clients send are ignored', async () => {
  await using api = await apiServer()
  const times = { created_at: NEVER, updated_at: NEVER }
  const app = (await api.send('POST', '/v2/apps', { name: 'shop', ...times })).json
  assert.equal(app.created_at, NOW)
  const fn = (await api.send('POST', '/v2/fns', { name: 'f', app_id: app.id, image: 'i', ...times })).json
  const body = { name: 't', app_id: app.id, fn_id: fn.id, type: 'http', source: '/s', ...times }
  const trigger = (await api.send('POST', '/v2/triggers', body)).json
  assert.equal(trigger.updated_at, NOW)
  const past = { created_at: '2019-04-11T10:00:00.123456789+02:00', updated_at: '2019-04-11T10:00:00Z' }
  const fnChange = { ...past, name: 'other', app_id: 'other', shape: 'GENERIC_ARM' }
  assert.deepEqual((await api.send('PUT', `/v2/fns/${fn.id}`, fnChange)).json, fn)
  const triggerChange = { ...past, app_id: 'other', type: 'other' }
  assert.deepEqual((await api.send('PUT', `/v2/triggers/${trigger.id}`, triggerChange)).json, trigger)
  const appChange = { ...past, shape: 'GENERIC_ARM' }
  assert.deepEqual((await api.send('PUT', `/v2/apps/${app.id}`, appChange)).json, app)
})

test('endpoint annotations that come back are neither stored nor counted', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop' })).json
  const annotations = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]))
  const fn = (await api.send('POST', '/v2/fns', { name: 'f', app_id: app.id, image: 'i', annotations })).json
  assert.equal(Object.keys(fn.annotations).length, 101)
  const before = await api.store.version()
  const again = await api.send('PUT', `/v2/fns/${fn.id}`, fn)
  assert.deepEqual(again.json, fn)
  assert.equal(await api.store.version(), before)
  assert.deepEqual((await api.store.fns.get(fn.id))?.annotations, annotations)
})

test('an id that differs from the path changes neither of the two', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop' })).json
  const [a, b] = await Promise.all(
    ['a', 'b'].map((name) => api.send('POST', '/v2/fns', { name, app_id: app.id, image: 'i' })),
  )
  const before = await api.store.version()
  const reply = await api.send('PUT', `/v2/fns/${a?.json.id}`, { id: b?.json.id, memory: 999 })
  assert.equal(reply.status, 400)
  assert.equal(reply.json.message, 'Fn ID in path does not match that in body')
  assert.equal(await api.store.version(), before)
})

test('deleting answers 204 without a body and takes what hangs on it', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop' })).json
  const fn = (await api.send('POST', '/v2/fns', { name: 'f', app_id: app.id, image: 'i' })).json
  const body = { name: 't', app_id: app.id, fn_id: fn.id, type: 'http', source: '/s' }
  const trigger = (await api.send('POST', '/v2/triggers', body)).json
  const gone = await api.send('DELETE', `/v2/apps/${app.id}`)
  assert.deepEqual([gone.status, gone.text], [204, ''])
  for (const path of [`/v2/apps/${app.id}`, `/v2/fns/${fn.id}`, `/v2/triggers/${trigger.id}`])
    assert.equal((await api.send('GET', path)).status, 404)
  assert.equal((await api.send('DELETE', `/v2/apps/${app.id}`)).status, 404)
})

test('pages follow one another by cursor until nothing is left', async () => {
  await using api = await apiServer()
  const names = Array.from({ length: 101 }, (_, i) => `app${String(i).padStart(3, '0')}`)
  for (const name of names.toReversed()) await api.send('POST', '/v2/apps', { name })
  const seen: string[] = []
  const sizes: number[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = (await api.send('GET', `/v2/apps?cursor=${cursor}`)).json as List<App>
    seen.push(...page.items.map((it) => it.name))
    sizes.push(page.items.length)
    cursor = page.next_cursor
  }
  assert.deepEqual(seen, names)
  assert.deepEqual(sizes, [30, 30, 30, 11])
  for (const [perPage, size] of [
    ['100', 100],
    ['1000', 100],
    ['1', 1],
    ['0', 30],
    ['-5', 30],
    ['9x', 30],
    ['', 30],
  ] as const)
    assert.equal((await api.send('GET', `/v2/apps?per_page=${perPage}`)).json.items.length, size, perPage)
})

test('a list finds one by its exact name, and the triggers of one function', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop' })).json
  await api.send('POST', '/v2/apps', { name: 'shop2' })
  assert.deepEqual((await api.send('GET', '/v2/apps?name=shop')).json, { items: [app] })
  assert.deepEqual((await api.send('GET', '/v2/apps?name=sho')).json, { items: [] })
  const fns: string[] = []
  for (const name of ['a', 'b']) {
    const fn = (await api.send('POST', '/v2/fns', { name, app_id: app.id, image: 'i' })).json
    const body = { name: 't', app_id: app.id, fn_id: fn.id, type: 'http', source: `/${name}` }
    await api.send('POST', '/v2/triggers', body)
    fns.push(fn.id)
  }
  const { items } = (await api.send('GET', `/v2/triggers?app_id=${app.id}&fn_id=${fns[1]}&name=t`)).json
  assert.deepEqual(
    items.map((it: { source: string }) => it.source),
    ['/b'],
  )
})

test('a cursor that no list has given is refused', async () => {
  await using api = await apiServer()
  for (const cursor of ['%20', 'bmFtZQ', 'WzEsMl0', '%ff%fe', 'bnVsbA']) {
    const reply = await api.send('GET', `/v2/apps?cursor=${cursor}`)
    assert.deepEqual([reply.status, reply.json.message], [400, 'Invalid cursor'], cursor)
  }
})

test('a trigger is found by its source, whose own slash follows the separator', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop' })).json
  const fn = (await api.send('POST', '/v2/fns', { name: 'f', app_id: app.id, image: 'i' })).json
  const body = { name: 't', app_id: app.id, fn_id: fn.id, type: 'http', source: '/a/b' }
  const trigger = (await api.send('POST', '/v2/triggers', body)).json
  const base = `/v2/runner/apps/${app.id}/triggerBySource/http`
  assert.deepEqual((await api.send('GET', `${base}//a/b`)).json, trigger)
  assert.equal((await api.send('GET', `${base}/a/b`)).json.message, 'Trigger not found')
})

test('without a valid token every path of /v2 is refused, the root is not', async () => {
  await using api = await apiServer({ allowed: tokenCheck('secret') })
  for (const [method, path] of [
    ['GET', '/v2/apps'],
    ['GET', '/%762/apps'],
    ['POST', '/v2/apps'],
    ['DELETE', '/v2/fns/x'],
    ['GET', '/v2/fns/x/calls'],
    ['HEAD', `/v2/bundles/${'a'.repeat(64)}`],
    ['PUT', `/v2/bundles/${'a'.repeat(64)}`],
  ] as const)
    for (const authorization of [undefined, 'Bearer wrong', 'secret', 'Basic secret']) {
      const reply = await api.send(method, path, undefined, authorization ? { authorization } : {})
      assert.equal(reply.status, 401, `${method} ${path}`)
      assert.equal(reply.headers['www-authenticate'], 'Bearer')
      const detail = authorization
        ? 'the token that was sent is not that of this server'
        : 'no token was sent, and this server asks for one'
      if (method !== 'HEAD') assert.deepEqual(reply.json, { message: 'Unauthorized', detail })
    }
  const allowed = await api.send('GET', '/v2/apps', undefined, { authorization: 'Bearer secret' })
  assert.deepEqual(allowed.json, { items: [] })
  assert.deepEqual((await api.send('GET', '/')).json, {
    goto: 'https://github.com/fnproject/fn',
    hello: 'world!',
  })
})

test('a body above the limit is refused before it is read, one without a length when it passes it', async () => {
  await using api = await apiServer({ maxRequestSize: 50 })
  const reply = await api.send('POST', '/v2/apps', { name: 'a'.repeat(50) })
  assert.equal(reply.status, 413)
  assert.equal(reply.json.message, 'Content-Length too large for this server, 61 > max 50')
  const url = new URL('/v2/apps', await api.fastify.listen({ host: '127.0.0.1', port: 0 }))
  const status = await new Promise((resolve, reject) => {
    const chunked = request(url, { method: 'POST' }, (answer) => resolve(answer.resume().statusCode))
    chunked.on('error', reject)
    chunked.write(`{"name":"${'a'.repeat(100)}`)
  })
  assert.equal(status, 413)
  assert.deepEqual((await api.send('GET', '/v2/apps')).json, { items: [] })
})
