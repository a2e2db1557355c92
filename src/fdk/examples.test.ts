import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type BundleProcess, startBundle, trigger } from '../../test/support/bundle-process.ts'

const NEEDS_PYTHON = {
  skip: spawnSync('python3', ['--version']).status === 0 ? false : 'there is no python3 on PATH',
}

const start = (name: string, format: string): Promise<BundleProcess> =>
  startBundle(fileURLToPath(new URL(`../../examples/${name}`, import.meta.url)), { format })

for (const [body, greeting] of [
  ['{ "name": "Ada" }', 'Hello, Ada!\n'],
  ['', 'Hello, world!\n'],
] as const)
  test(`hello-sh answers ${greeting.trim()}`, async () => {
    await using fn = await start('hello-sh', 'default')
    fn.child.stdin.end(body)
    assert.equal(await fn.exit, 0)
    assert.deepEqual([fn.stdout(), fn.stderr()], [greeting, ''])
  })

test('hello-py greets on its socket, whichever way the body is sent', NEEDS_PYTHON, async () => {
  await using fn = await start('hello-py', 'http-stream')
  await fn.ready()
  for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }])
    assert.deepEqual(JSON.parse((await fn.call(headers, '{"name":"Ada"}')).body), { message: 'Hello, Ada!' })
  assert.deepEqual(JSON.parse((await fn.call()).body), { message: 'Hello, world!' })
  assert.equal(fn.stderr(), '')
})

test('hello-port answers both of its paths, and a plain call', async () => {
  await using fn = await start('hello-port', 'port')
  await fn.ready()
  const get = (path: string, method = 'GET') => trigger(method, `http://h/t/myapp${path}`)
  const { headers, body } = await fn.call(get('/hello-port', 'POST'), '{"name":"Ada"}')
  assert.deepEqual(
    [headers['fn-http-status'], headers['content-type'], body],
    ['200', 'application/json', '{"message":"Hello, Ada!"}'],
  )
  assert.equal((await fn.call()).body, '{"message":"Hello, world!"}')
  assert.equal((await fn.call(get('/hello-port/visits'))).body, '2\n')
  assert.equal((await fn.call(get('/elsewhere'))).headers['fn-http-status'], '404')
})
