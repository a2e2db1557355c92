import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { sql } from 'kysely'
import { lockFile } from '../../../test/support/locker.ts'
import { smallDisk } from '../../../test/support/small-disk.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { countTurns } from '../../../test/support/turns.ts'
import { until } from '../../../test/support/until.ts'
import { virtualClock } from '../../core/clock.ts'
import type { SluiceError } from '../../core/errors.ts'
import { sqlStore } from '../sql/store.ts'
import { type SqliteOptions, sqliteDatabase } from './database.ts'
import { FIRST } from './migrations.ts'

const unavailable = { code: 'store-unavailable' }

async function setUp(options: Partial<SqliteOptions> = {}) {
  const dir = await tempDir()
  const file = join(dir.path, 'store.db')
  const database = await sqliteDatabase({ file, ...options })
  return {
    file,
    database,
    store: sqlStore(database),
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const app = (name: string) => ({
  ...{ id: name, name, config: {}, annotations: {}, syslog_url: '', shape: '' },
  ...{ created_at: '', updated_at: '' },
})

/** What a promise has come to, so far. */
function watch(promise: Promise<unknown>): { readonly state: 'pending' | 'done' | 'failed' } {
  const seen = { state: 'pending' as 'pending' | 'done' | 'failed' }
  promise.then(
    () => {
      seen.state = 'done'
    },
    () => {
      seen.state = 'failed'
    },
  )
  return seen
}

test('while another process holds the lock, the loop turns, reads are answered, and the write waits for it', async () => {
  await using ground = await setUp()
  const { store, file } = ground
  await store.apps.insert(app('first'))
  await using other = await lockFile(file)
  const write = store.apps.insert(app('second'))
  const seen = watch(write)
  for (let i = 0; i < 200; i++) {
    await turn()
    if (i % 20 === 0) assert.equal((await store.apps.get('first'))?.name, 'first')
  }
  assert.equal(seen.state, 'pending')
  await other.release()
  await write
  assert.equal((await store.apps.list({ limit: 9 })).length, 2)
})

test('a write that waits too long for another process is told so, reads go on, and the next one is well', async () => {
  await using ground = await setUp({ patience: 50 })
  const { store, file } = ground
  await using other = await lockFile(file)
  await assert.rejects(store.apps.insert(app('late')), unavailable)
  assert.deepEqual(await store.apps.list({ limit: 9 }), [])
  await other.release()
  await store.apps.insert(app('late'))
})

test('a wait for a lock ends with its signal, and is not asked for again', async () => {
  await using ground = await setUp()
  const { database, store, file } = ground
  await using other = await lockFile(file)
  const ending = new AbortController()
  const write = database.kysely
    .insertInto('apps')
    .values({ id: 'a', name: 'a', doc: '{}' })
    .execute({ signal: ending.signal })
  const seen = watch(write)
  await turn()
  assert.equal(seen.state, 'pending')
  ending.abort(new Error('enough'))
  await assert.rejects(write, { message: 'enough' })
  // What the thread was at by then it has tried in vain.
  await store.apps.list({ limit: 9 })
  await other.release()
  await store.apps.insert(app('b'))
  assert.deepEqual(
    (await database.kysely.selectFrom('apps').select('id').execute()).map(({ id }) => id),
    ['b'],
  )
})

test('a wait has a limit by the clock, whatever the thread is at', async () => {
  const clock = virtualClock()
  await using ground = await setUp({ clock, patience: 60_000 })
  await using other = await lockFile(ground.file)
  const write = ground.store.apps.insert(app('late'))
  const seen = watch(write)
  await until('the limit is reached', () => {
    clock.advance(60_000)
    return seen.state === 'failed'
  })
  await assert.rejects(write, unavailable)
  await other.release()
})

test('the loop turns while a large bundle is stored and read', async () => {
  await using ground = await setUp()
  const { store } = ground
  const megabyte = randomBytes(1_048_576)
  using turns = countTurns()
  await store.bundles.put('a'.repeat(64), Array(100).fill(megabyte), 1)
  const bundle = await store.bundles.get('a'.repeat(64))
  let size = 0
  for await (const piece of bundle?.read() ?? []) {
    assert.ok(piece.length <= 1_048_576)
    size += piece.length
  }
  assert.equal(size, 100 * 1_048_576)
  // One step of each megabyte at least: nothing was moved in one go.
  assert.ok(turns.count > 200, `${turns.count} turns`)
})

test('a transaction sees its own writes, nobody else does before its end, and others wait for it', async () => {
  await using ground = await setUp()
  const { database, store } = ground
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  const { promise: inside, resolve: isInside } = Promise.withResolvers<void>()
  const transaction = database.kysely.transaction().execute(async (trx) => {
    await trx.insertInto('apps').values({ id: 'a', name: 'a', doc: '{}' }).execute()
    isInside()
    await held
    return (await trx.selectFrom('apps').select('id').execute()).length
  })
  await inside
  assert.deepEqual(await store.apps.list({ limit: 9 }), [])
  const other = store.apps.insert(app('b'))
  const seen = watch(other)
  for (let i = 0; i < 20; i++) await turn()
  assert.equal(seen.state, 'pending')
  letGo()
  assert.equal(await transaction, 1)
  await other
  assert.equal((await database.kysely.selectFrom('apps').select('id').execute()).length, 2)
})

test('a transaction that fails leaves nothing, and the next one begins', async () => {
  await using ground = await setUp()
  const { database, store } = ground
  const failed = database.kysely.transaction().execute(async (trx) => {
    await trx.insertInto('apps').values({ id: 'a', name: 'a', doc: '{}' }).execute()
    throw new Error('no')
  })
  await assert.rejects(failed, { message: 'no' })
  assert.deepEqual(await store.apps.list({ limit: 9 }), [])
  await database.kysely.transaction().execute((trx) => sql`select 1`.execute(trx))
})

test('a constraint that is broken is told from other errors', async () => {
  await using ground = await setUp()
  const { kysely, facts } = ground.database
  const insert = (id: string, name: string) =>
    kysely
      .insertInto('apps')
      .values({ id, name, doc: '{}' })
      .execute()
      .then(
        () => undefined,
        (error: unknown) => facts.brokenBy(error),
      )
  assert.equal(await insert('a', 'a'), undefined)
  assert.deepEqual([await insert('a', 'b'), await insert('b', 'a')], ['unique', 'unique'])
  const orphan = { id: 'f', app_id: 'none', name: 'f', bundle: null, doc: '{}' }
  await assert.rejects(
    kysely.insertInto('fns').values(orphan).execute(),
    (error) => facts.brokenBy(error) === 'reference',
  )
  await assert.rejects(sql`nonsense`.execute(kysely), (error) => facts.brokenBy(error) === undefined)
})

test('a database that is gone is unavailable until it is back, and what is in its place then is what is read', async () => {
  await using ground = await setUp()
  const { store, file } = ground
  await store.apps.insert(app('first'))
  const away = join(file, '..', 'away')
  await mkdir(away)
  const move = async (from: string, to: string) => {
    for (const suffix of ['', '-wal', '-shm']) await rename(from + suffix, to + suffix)
  }
  await move(file, join(away, 'store.db'))
  await assert.rejects(store.apps.get('first'), unavailable)
  await assert.rejects(store.apps.insert(app('second')), unavailable)
  await assert.rejects(store.version(), unavailable)
  await move(join(away, 'store.db'), file)
  assert.equal((await store.apps.get('first'))?.name, 'first')
  await store.apps.insert(app('second'))

  await move(file, join(away, 'store.db'))
  await using another = await sqliteDatabase({ file })
  await sqlStore(another).apps.insert(app('restored'))
  assert.deepEqual(
    (await store.apps.list({ limit: 9 })).map(({ id }) => id),
    ['restored'],
  )
})

test('a full disk makes writes unavailable; reads go on, and writes too when there is room again', async (t) => {
  await using disk = await smallDisk('1m')
  if (!disk) return t.skip('no small file system can be mounted here')
  await using database = await sqliteDatabase({ file: join(disk.path, 'store.db') })
  const store = sqlStore(database)
  await store.apps.insert(app('first'))
  await disk.fill()
  await assert.rejects(store.bundles.put('a'.repeat(64), [randomBytes(500_000)], 1), unavailable)
  assert.equal((await store.apps.get('first'))?.name, 'first')
  await disk.free()
  await store.apps.insert(app('second'))
  assert.equal(await store.bundles.has('a'.repeat(64)), false)
})

test('a database on a read-only disk is refused when it is opened, naming it', async (t) => {
  await using disk = await smallDisk('4m')
  if (!disk) return t.skip('no small file system can be mounted here')
  const file = join(disk.path, 'store.db')
  await (await sqliteDatabase({ file }))[Symbol.asyncDispose]()
  disk.makeReadOnly()
  await assert.rejects(
    sqliteDatabase({ file }),
    (error: SluiceError) => error.code === 'store-unavailable' && error.message.includes(file),
  )
})

test('a file of the first format is brought to this one with all that it holds', async () => {
  await using dir = await tempDir()
  const file = join(dir.path, 'store.db')
  const tar = randomBytes(9_000_000)
  const bundle = 'a'.repeat(64)
  {
    using old = new DatabaseSync(file)
    old.exec(`${FIRST}; pragma user_version = 1`)
    old.prepare('insert into bundles values (?, 1, ?)').run(bundle, tar)
    old.prepare('insert into bundles values (?, 1, ?)').run('b'.repeat(64), new Uint8Array())
    old.exec(`insert into apps values ('a', 'shop', '${JSON.stringify(app('shop'))}')`)
    old.exec(`insert into fns values ('f', 'a', 'cart', '${bundle}', '{"id":"f","app_id":"a"}')`)
    for (const source of ['/cart', '/items/:id', '/odd/:'])
      old
        .prepare(`insert into triggers values (?, 'a', 'f', ?, 'http', ?, ?)`)
        .run(source, source, source, JSON.stringify({ id: source, source }))
  }
  await using database = await sqliteDatabase({ file })
  const store = sqlStore(database)
  const pieces = await Array.fromAsync((await store.bundles.get(bundle))?.read() ?? [])
  assert.ok(Buffer.concat(pieces).equals(tar))
  assert.equal((await store.bundles.get('b'.repeat(64)))?.size, 0)
  assert.equal((await store.triggers.sources('a', 'http')).length, 3)
  assert.equal((await store.triggers.bySource('a', 'http', '/items/:id'))?.id, '/items/:id')
  const paths = await database.kysely.selectFrom('triggers').select('paths').orderBy('paths').execute()
  assert.deepEqual(
    paths.map((row) => row.paths),
    ['/cart', '/odd/:', ':/items/:'],
  )
  const before = await store.version()
  await store.fns.remove('f')
  assert.deepEqual(await store.triggers.sources('a', 'http'), [])
  assert.ok((await store.version()) > before)
  assert.equal(await store.bundles.sweep(2), 2)
})

test('what was left of an upload that was broken off is swept', async () => {
  await using ground = await setUp()
  const { database, store } = ground
  const parts = () => database.kysely.selectFrom('bundle_parts').select('part').execute()
  const broken = (async function* () {
    yield randomBytes(3_000_000)
    throw new Error('gone')
  })()
  await assert.rejects(store.bundles.put('a'.repeat(64), broken, 1), { message: 'gone' })
  assert.deepEqual(await parts(), [])
  const left = { upload: 'killed', at: 5, bytes: new Uint8Array(10) }
  for (let part = 0; part < 40; part++)
    await database.kysely
      .insertInto('bundle_parts')
      .values({ ...left, part })
      .execute()
  await store.bundles.put('b'.repeat(64), [Buffer.from('kept')], 9)
  assert.equal(await store.bundles.sweep(5), 0)
  assert.equal((await parts()).length, 41)
  await store.bundles.sweep(6)
  assert.equal((await parts()).length, 1)
})
