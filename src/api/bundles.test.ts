import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiServer, sha256 } from '../../test/support/api-server.ts'
import { bundleImage } from '../core/words.ts'

const tar = Buffer.from(Array.from({ length: 3_000 }, (_, i) => i % 256))
const digest = sha256(tar)
const path = `/v2/bundles/${digest}`

test('a bundle is put, found and fetched byte for byte over a socket', async () => {
  await using api = await apiServer()
  const base = await api.fastify.listen({ host: '127.0.0.1', port: 0 })
  assert.equal((await fetch(base + path, { method: 'HEAD' })).status, 404)
  assert.equal((await fetch(base + path)).status, 404)
  for (const type of ['application/x-tar', 'application/json', 'no media type']) {
    const put = await fetch(base + path, { method: 'PUT', body: tar, headers: { 'content-type': type } })
    assert.deepEqual([put.status, await put.json()], [200, { digest, size: 3_000 }], type)
  }
  assert.equal((await fetch(base + path, { method: 'HEAD' })).status, 200)
  const got = await fetch(base + path)
  assert.equal(got.headers.get('content-type'), 'application/x-tar')
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(tar))
})

test('a bundle whose content has another digest is refused, naming both', async () => {
  await using api = await apiServer()
  const other = sha256(Buffer.from('other'))
  const reply = await api.send('PUT', `/v2/bundles/${other}`, tar)
  assert.equal(reply.status, 400)
  assert.equal(reply.json.message, 'Bundle digest does not match its content')
  assert.ok(reply.json.detail.includes(digest) && reply.json.detail.includes(other))
  assert.equal(await api.store.bundles.has(digest), false)
  assert.equal(await api.store.bundles.has(other), false)
})

test('what is no digest is refused', async () => {
  await using api = await apiServer()
  for (const bad of [digest.slice(1), digest.toUpperCase(), `sha256:${digest}`, 'g'.repeat(64)])
    for (const method of ['PUT', 'GET', 'HEAD']) {
      const reply = await api.send(method, `/v2/bundles/${bad}`, method === 'PUT' ? tar : undefined)
      assert.equal(reply.status, 400, `${method} ${bad}`)
      if (method !== 'HEAD') assert.equal(reply.json.message, 'Invalid bundle digest')
    }
  const empty = await api.send('PUT', `/v2/bundles/${sha256(Buffer.alloc(0))}`)
  assert.deepEqual([empty.status, empty.json.message], [400, 'Missing bundle'])
})

test('a bundle may be larger than a JSON body, up to its own limit', async () => {
  const limit = 9 * 1024 * 1024
  await using api = await apiServer({ maxBundleSize: limit })
  const full = Buffer.alloc(limit, 7)
  assert.equal((await api.send('PUT', `/v2/bundles/${sha256(full)}`, full)).status, 200)
  const over = Buffer.alloc(limit + 1, 7)
  const reply = await api.send('PUT', `/v2/bundles/${sha256(over)}`, over)
  assert.equal(reply.status, 413)
  assert.equal(reply.json.message, `Content-Length too large for this server, ${limit + 1} > max ${limit}`)
  assert.equal((await api.send('POST', '/v2/apps', full)).status, 413)
})

test('a refused upload is answered while the client is still sending', async () => {
  await using api = await apiServer({ maxBundleSize: 1_000 })
  const base = await api.fastify.listen({ host: '127.0.0.1', port: 0 })
  const body = Buffer.alloc(4 * 1024 * 1024)
  const reply = await fetch(`${base}/v2/bundles/${sha256(body)}`, { method: 'PUT', body })
  assert.equal(reply.status, 413)
})

test('a function of a bundle needs the bundle first, and then keeps it', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'shop' })).json
  const fn = { name: 'f', app_id: app.id, image: bundleImage(digest) }
  const refused = await api.send('POST', '/v2/fns', fn)
  assert.deepEqual([refused.status, refused.json.message], [400, 'Bundle not found'])
  assert.match(refused.json.detail, /upload it first/)
  await api.send('PUT', path, tar)
  assert.equal((await api.send('POST', '/v2/fns', fn)).status, 200)
  assert.equal(await api.store.bundles.sweep(Number.MAX_SAFE_INTEGER), 0)
})
