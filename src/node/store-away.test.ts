import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { test } from 'node:test'
import { lockFile } from '../../test/support/locker.ts'
import { FN, hello, INVOKE, send, setUpNode } from '../../test/support/node-rig.ts'
import { until } from '../../test/support/until.ts'

const status = async (url: string, method = 'POST', body?: string) =>
  (await send(url, { method, ...(body !== undefined && { body }) })).status

test('while the database is gone, known functions are called, the rest is a 503 that says so; then it is back', async (t) => {
  const { node, file } = await setUpNode(t, hello())
  assert.equal(await status(node.url + INVOKE), 200)
  assert.equal(await status(`${node.url}/t/shop/cart`), 200)
  const move = async (from: string, to: string) => {
    for (const suffix of ['', '-wal', '-shm']) await rename(from + suffix, to + suffix)
  }
  await move(file, `${file}.away`)
  const gone = await send(`${node.url}/v2/apps`, { body: '{"name":"new"}' })
  assert.deepEqual([gone.status, JSON.parse(gone.body).message], [503, 'Store is unavailable'])
  assert.equal(await status(`${node.url}/invoke/UNKNOWN`), 503)
  for (let i = 0; i < 5; i++) assert.equal(await status(node.url + INVOKE), 200)
  assert.equal(await status(`${node.url}/t/shop/cart`), 200)
  await move(`${file}.away`, file)
  await until('the store is back', async () => (await status(`${node.url}/invoke/UNKNOWN`)) === 404)
  assert.equal(await status(`${node.url}/v2/apps`, 'POST', '{"name":"new"}'), 200)
  assert.equal(await status(node.url + INVOKE), 200)
})

test('while another process holds the lock of the database, the node answers all but what writes', async (t) => {
  const { node, file } = await setUpNode(t, hello())
  await using other = await lockFile(file)
  let written: number | undefined
  const write = status(`${node.url}/v2/apps`, 'POST', '{"name":"new"}').then((code) => {
    written = code
  })
  for (const path of [INVOKE, '/t/shop/cart']) assert.equal(await status(node.url + path), 200)
  for (const path of ['/version', '/healthz', `/v2/fns/${FN}`, '/v2/apps'])
    assert.equal(await status(node.url + path, 'GET'), 200, path)
  assert.equal(await status(`${node.url}/invoke/UNKNOWN`), 404)
  assert.equal(written, undefined)
  await other.release()
  await write
  assert.equal(written, 200)
})
