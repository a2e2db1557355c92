import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../test/support/cli.ts'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { packBundle } from './bundle.ts'
import { readFuncFile } from './func-file.ts'
import { RUNTIMES } from './templates.ts'

const request = (body: string) => new Request('http://any/', { method: 'POST', body })

for (const runtime of RUNTIMES)
  test(`a new ${runtime} function has a func file without a fault`, async () => {
    await using dir = await tempDir()
    const { code } = await runCli(['init', 'hello', '--runtime', runtime], { cwd: dir.path })
    assert.equal(code, 0)
    const { func, warnings } = await readFuncFile(join(dir.path, 'hello'))
    assert.deepEqual(warnings, [])
    assert.equal(func.name, 'hello')
    assert.deepEqual(func.triggers, [{ name: 'hello', type: 'http', source: '/hello' }])
  })

for (const [runtime, file] of [
  ['typescript', 'func.ts'],
  ['javascript', 'func.mjs'],
] as const)
  test(`a new ${runtime} function can be packed, and answers`, async () => {
    await using dir = await tempDir()
    await runCli(['init', 'hello', '--runtime', runtime], { cwd: dir.path })
    const { signal } = new AbortController()
    assert.equal((await packBundle(join(dir.path, 'hello'), { signal })).entry, file)
    const handle = (await import(join(dir.path, 'hello', file))).default
    assert.deepEqual(await handle(request('')), { message: 'Hello, world!' })
    assert.deepEqual(await handle(request('{"name":"Ada"}')), { message: 'Hello, Ada!' })
  })

test('a new FDK function depends on the FDK', async () => {
  await using dir = await tempDir()
  await runCli(['init', 'hello', '--runtime', 'fdk'], { cwd: dir.path })
  const manifest = JSON.parse(await readFile(join(dir.path, 'hello/package.json'), 'utf8'))
  assert.deepEqual(Object.keys(manifest.dependencies), ['@fnproject/fdk'])
  assert.match(await readFile(join(dir.path, 'hello/func.js'), 'utf8'), /fdk\.handle\(/)
})

test('it says what it wrote and what to do next', async () => {
  await using dir = await tempDir()
  const { stdout, stderr } = await runCli(['init', 'hello'], { cwd: dir.path })
  assert.equal(stdout, 'Wrote hello/func.yaml\nWrote hello/func.ts\n')
  assert.match(stderr, /sluice deploy --app myapp hello/)
})

test('nothing is overwritten, and nothing is written beside it', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'hello/func.ts': 'mine' })
  const { code, stderr } = await runCli(['init', 'hello'], { cwd: dir.path })
  assert.equal(code, 4)
  assert.match(stderr, /hello\/func\.ts exists already/)
  assert.equal(await readFile(join(dir.path, 'hello/func.ts'), 'utf8'), 'mine')
  assert.deepEqual(await readdir(join(dir.path, 'hello')), ['func.ts'])
})

test('a name that is no name, or leads elsewhere, is refused', async () => {
  await using dir = await tempDir()
  for (const name of ['../up', 'a/b', 'a b', '.', '', 'x'.repeat(101)])
    assert.equal((await runCli(['init', name], { cwd: dir.path })).code, 2, name)
  assert.deepEqual(await readdir(dir.path), [])
})
