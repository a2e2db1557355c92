import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { storeContract } from '../store.contract.ts'
import { sqliteStore } from './sqlite.ts'

storeContract('sqlite', async () => {
  const dir = await tempDir()
  return {
    open: () => sqliteStore({ file: join(dir.path, 'store.db') }),
    [Symbol.asyncDispose]: dir[Symbol.asyncDispose],
  }
})

/** A process of its own that inserts apps `<name>-0`, `-1` … up to `count` and prints each name once that is done. */
function spawnWriter(file: string, name: string, count: number) {
  const code = `
    import { sqliteStore } from ${JSON.stringify(new URL('./sqlite.ts', import.meta.url).href)}
    const store = await sqliteStore({ file: ${JSON.stringify(file)} })
    const rest = { config: {}, annotations: {}, syslog_url: '', shape: '', created_at: '', updated_at: '' }
    for (let i = 0; i < ${count}; i++) {
      const name = ${JSON.stringify(name)} + '-' + i
      const id = name + '-' + process.pid
      const taken = await store.apps.insert({ id, name, ...rest }).catch((error) => error.code)
      if (taken === undefined) console.log(name)
      else if (taken !== 'conflict') process.exit(1)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  return {
    child,
    closed,
    lines: createInterface({ input: child.stdout }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await closed
    },
  }
}

test('every acknowledged write survives kill -9 in the middle of many', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  await using writer = spawnWriter(file, 'app', 1e9)
  const acknowledged: string[] = []
  for await (const line of writer.lines) {
    acknowledged.push(line)
    if (acknowledged.length === 50) writer.child.kill('SIGKILL')
  }
  assert.deepEqual(await writer.closed, [null, 'SIGKILL'])

  await using store = await sqliteStore({ file })
  for (const name of acknowledged) assert.ok(await store.apps.byName(name), name)
  assert.ok((await store.version()) >= acknowledged.length)
  using raw = new DatabaseSync(file)
  assert.deepEqual({ ...raw.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' })
})

test('processes that open a new file at once all write to it', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  await using stack = new AsyncDisposableStack()
  const writers = ['a', 'b', 'c'].map((name) => stack.use(spawnWriter(file, name, 10)))
  for (const { closed } of writers) assert.deepEqual(await closed, [0, null])
  await using store = await sqliteStore({ file })
  assert.equal((await store.apps.list({ limit: 99 })).length, 30)
})

test('of two processes that want the same names, each name has one holder', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  await (await sqliteStore({ file }))[Symbol.asyncDispose]()
  await using stack = new AsyncDisposableStack()
  const writers = [1, 2].map(() => stack.use(spawnWriter(file, 'same', 40)))
  const got = await Promise.all(writers.map(({ lines }) => Array.fromAsync(lines)))
  for (const { closed } of writers) assert.deepEqual(await closed, [0, null])
  const names = got.flat()
  assert.equal(new Set(names).size, 40)
  assert.equal(names.length, 40)
  await using store = await sqliteStore({ file })
  assert.equal((await store.apps.list({ limit: 99 })).length, 40)
})

test('only the owner may read the files', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  await using store = await sqliteStore({ file })
  await store.apps.list({ limit: 1 })
  for (const suffix of ['', '-wal', '-shm'])
    assert.equal((await stat(file + suffix)).mode & 0o777, 0o600, suffix)
})

test('a file newer than the code is refused and left alone', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  await (await sqliteStore({ file }))[Symbol.asyncDispose]()
  using raw = new DatabaseSync(file)
  raw.exec('pragma user_version = 999')
  await assert.rejects(sqliteStore({ file }), {
    code: 'store-unavailable',
    message: /: it has format 999, this Sluice knows up to \d+: use a newer Sluice$/,
  })
  assert.deepEqual({ ...raw.prepare('pragma user_version').get() }, { user_version: 999 })
})

test('a file that is no database is refused, naming it', async () => {
  await using dir = await tempDir()
  const missing = join(dir.path, 'missing', 'store.db')
  const text = join(dir.path, 'text')
  await writeFile(text, 'no database, but long enough to be told from an empty one')
  for (const file of [dir.path, missing, text])
    await assert.rejects(sqliteStore({ file }), (error: Error) => error.message.includes(file))
})

test('a bundle that a function refers to cannot be taken from under it', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  await using store = await sqliteStore({ file })
  await store.bundles.put('a'.repeat(64), [Buffer.from('tar')], 1)
  using raw = new DatabaseSync(file)
  raw.exec(`insert into apps values ('a', 'a', '{}')`)
  raw.exec(`insert into fns values ('f', 'a', 'f', '${'a'.repeat(64)}', '{}')`)
  assert.throws(() => raw.exec('delete from bundles'), /FOREIGN KEY/)
})
