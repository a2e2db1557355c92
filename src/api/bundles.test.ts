import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiServer, sha256 } from '../../test/support/api-server.ts'
import { type TarEntry, tarOf, tarOfMany } from '../../test/support/tar.ts'
import { countTurns } from '../../test/support/turns.ts'
import { bundleImage } from '../core/words.ts'

const { tar, digest } = await tarOf([{ name: 'func.js' }, 'x'.repeat(1_500)])
const path = `/v2/bundles/${digest}`

test('a bundle is put, found and fetched byte for byte over a socket', async () => {
  await using api = await apiServer()
  const base = await api.fastify.listen({ host: '127.0.0.1', port: 0 })
  assert.equal((await fetch(base + path, { method: 'HEAD' })).status, 404)
  assert.equal((await fetch(base + path)).status, 404)
  for (const type of ['application/x-tar', 'application/json', 'no media type']) {
    const put = await fetch(base + path, { method: 'PUT', body: tar, headers: { 'content-type': type } })
    assert.deepEqual([put.status, await put.json()], [200, { digest, size: tar.length }], type)
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
  const full = await tarOf([{ name: 'large' }, Buffer.alloc(limit - 1_536)])
  assert.equal(full.tar.length, limit)
  assert.equal((await api.send('PUT', `/v2/bundles/${full.digest}`, full.tar)).status, 200)
  const over = Buffer.alloc(limit + 1, 7)
  const reply = await api.send('PUT', `/v2/bundles/${sha256(over)}`, over)
  assert.equal(reply.status, 413)
  assert.equal(reply.json.message, `Content-Length too large for this server, ${limit + 1} > max ${limit}`)
  assert.equal((await api.send('POST', '/v2/apps', full.tar)).status, 413)
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

test('what is no bundle is refused when it comes in, with the rule, and nothing of it is kept', async () => {
  await using api = await apiServer()
  const refused: [string, TarEntry[] | Buffer, RegExp][] = [
    ['any bytes', Buffer.from('x'.repeat(5_000)), /must be a tar of plain files and folders: /],
    ['zeros', Buffer.alloc(10_240), /it must have a file/],
    ['a tar that is cut', tar.subarray(0, 1_000), /Unexpected end of data/],
    ['a folder alone', [[{ name: 'lib/', type: 'directory' }]], /it must have a file/],
    [
      'a link',
      [[{ name: 'l', type: 'symlink', linkname: '/etc' }]],
      /"l" must be a plain file or a folder, not a symlink/,
    ],
    ['a hard link', [[{ name: 'l', type: 'link', linkname: 'x' }]], /not a link/],
    ['a device', [[{ name: 'd', type: 'character-device' }]], /not a character-device/],
    ['a pipe', [[{ name: 'p', type: 'fifo' }]], /not a fifo/],
    ['a way out', [[{ name: 'a/../../out' }, 'x']], /must stay in the bundle/],
    ['an absolute path', [[{ name: '/etc/passwd' }, 'x']], /must stay in the bundle/],
    ['a long name', [[{ name: 'n'.repeat(256) }, 'x']], /255 a name/],
    ['a long path', [[{ name: `${'p/'.repeat(600)}x` }, 'x']], /at most 1024 bytes/],
    [
      'a file twice',
      [
        [{ name: 'a' }, 'x'],
        [{ name: './a' }, 'y'],
      ],
      /must be there once/,
    ],
    [
      'a file below a file',
      [
        [{ name: 'a' }, 'x'],
        [{ name: 'a/b' }, 'y'],
      ],
      /must not be below a file/,
    ],
    [
      'a file where a folder is',
      [
        [{ name: 'a/b' }, 'x'],
        [{ name: 'a' }, 'y'],
      ],
      /must be there once/,
    ],
  ]
  for (const [what, content, rule] of refused) {
    const bytes = Buffer.isBuffer(content) ? content : (await tarOf(...content)).tar
    const reply = await api.send('PUT', `/v2/bundles/${sha256(bytes)}`, bytes)
    assert.deepEqual([reply.status, reply.json.message], [400, 'Invalid bundle'], what)
    assert.match(reply.json.detail, rule, what)
    assert.equal(await api.store.bundles.has(sha256(bytes)), false, what)
  }
})

test('a bundle of 100,000 files is refused with the number, and the loop turns meanwhile', async () => {
  await using api = await apiServer()
  const many = tarOfMany(100_000)
  const base = await api.fastify.listen({ host: '127.0.0.1', port: 0 })
  using turns = countTurns()
  const put = fetch(`${base}/v2/bundles/${many.digest}`, { method: 'PUT', body: many.tar })
  const reply = await put
  assert.equal(reply.status, 400)
  assert.match(((await reply.json()) as { detail: string }).detail, /at most 20000 files and folders/)
  assert.ok(turns.count > 100, `${turns.count} turns`)
})

test('an upload that its client breaks off leaves nothing', async () => {
  await using api = await apiServer()
  const base = await api.fastify.listen({ host: '127.0.0.1', port: 0 })
  const ending = new AbortController()
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(tar.subarray(0, 1_024))
    },
  })
  const put = fetch(base + path, { method: 'PUT', body, duplex: 'half', signal: ending.signal })
  ending.abort()
  await assert.rejects(put, { name: 'AbortError' })
  assert.equal((await api.send('PUT', path, tar)).status, 200)
})
