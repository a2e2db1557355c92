import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeApp, makeFn } from '../../test/support/definitions.ts'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'
import { type VirtualClock, virtualClock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { parseTarget, type Target } from '../core/routes.ts'
import type { Trigger } from '../core/words.ts'
import { sqliteStore } from '../store/sqlite/sqlite.ts'
import type { Store } from '../store/store.ts'
import { Definitions, type Resolved } from './definitions.ts'

const makeTrigger = (id: string, source: string, fn = 'FN', app = 'APP'): Trigger => ({
  id,
  name: id,
  app_id: app,
  fn_id: fn,
  type: 'http',
  source,
  annotations: {},
  created_at: '',
  updated_at: '',
})

interface Rig {
  readonly definitions: Definitions
  readonly clock: VirtualClock
  readonly store: Store
  /** Methods that the node's store was asked by, the version aside. */
  readonly asked: string[]
  /** How often the definitions said that something changed. */
  readonly changes: number[]
  /** From now on questions to the node's store fail; with 'all' also that for the version. */
  away: 'no' | 'data' | 'all'
  other(): Promise<Store>
}

/** App `shop` with function FN bound to `/cart`, `/users/:id` and `/files/*rest`. */
async function setUp(t: TestContext): Promise<Rig> {
  const dir = await tempDir()
  const file = join(dir.path, 'store.db')
  const store = await sqliteStore({ file })
  const opened: Store[] = [store]
  await store.apps.insert(makeApp())
  await store.fns.insert(makeFn())
  for (const [id, source] of Object.entries({ c: '/cart', u: '/users/:id', f: '/files/*rest', s: '/' }))
    await store.triggers.insert(makeTrigger(id, source))
  const clock = virtualClock()
  const rig = { clock, store, asked: [] as string[], changes: [] as number[], away: 'no' as Rig['away'] }
  const watched = <T extends object>(part: T, name: string): T =>
    new Proxy(part, {
      get: (it, key) => {
        const method = it[key as keyof T]
        return (...args: unknown[]) => {
          rig.asked.push(`${name}.${String(key)}`)
          if (rig.away !== 'no') return Promise.reject(new SluiceError('store-unavailable'))
          return (method as (...args: unknown[]) => unknown).apply(it, args)
        }
      },
    })
  const seen: Store = {
    ...store,
    apps: watched(store.apps, 'apps'),
    fns: watched(store.fns, 'fns'),
    triggers: watched(store.triggers, 'triggers'),
    version: () =>
      rig.away === 'all' ? Promise.reject(new SluiceError('store-unavailable')) : store.version(),
  }
  const definitions = new Definitions(seen, clock, () => rig.changes.push(rig.changes.length))
  t.after(async () => {
    await definitions[Symbol.asyncDispose]()
    for (const it of opened) await it[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })
  await definitions.refresh()
  return Object.assign(rig, {
    definitions,
    other: async () => {
      const other = await sqliteStore({ file })
      opened.push(other)
      return other
    },
  })
}

const targetOf = (path: string) => parseTarget(path) as Target
const resolve = ({ definitions }: Rig, path: string) => definitions.resolve(path, targetOf(path))
const match = ({ definitions }: Rig, path: string) => definitions.match(path, targetOf(path))
const short = (resolved: Resolved | undefined) =>
  resolved && [resolved.definition.fn.id, resolved.source, { ...resolved.params }]

const notFound = (message: string) => ({ code: 'not-found', message })

test('paths lead to functions by id, by source and by pattern', async (t) => {
  const rig = await setUp(t)
  for (const [path, expected] of [
    ['/invoke/FN', ['FN', undefined, {}]],
    ['/t/shop/cart', ['FN', '/cart', {}]],
    ['/t/shop/c%61rt', ['FN', '/cart', {}]],
    ['/t/shop', ['FN', '/', {}]],
    ['/t/shop/users/a%2Fb', ['FN', '/users/:id', { id: 'a/b' }]],
    ['/t/shop/files/x/y', ['FN', '/files/*rest', { rest: '/x/y' }]],
  ] as const)
    assert.deepEqual(short(await resolve(rig, path)), expected, path)
  for (const [path, message] of [
    ['/invoke/NOBODY', 'Fn not found'],
    ['/t/nobody/cart', 'App not found'],
    ['/t/shop/nowhere', 'Trigger not found'],
    ['/t/shop/users/', 'Trigger not found'],
  ] as const)
    await assert.rejects(resolve(rig, path), notFound(message), path)
})

test('what was resolved is known from then on without the store', async (t) => {
  const rig = await setUp(t)
  assert.equal(match(rig, '/t/shop/cart'), undefined)
  assert.equal(match(rig, '/invoke/FN'), undefined)
  await resolve(rig, '/t/shop/users/1')
  rig.asked.length = 0
  for (const path of ['/invoke/FN', '/t/shop/cart']) {
    const resolved = match(rig, path)
    assert.ok(resolved)
    assert.equal(rig.definitions.known(path), resolved)
  }
  assert.deepEqual(short(match(rig, '/t/shop/users/2')), ['FN', '/users/:id', { id: '2' }])
  assert.deepEqual(rig.asked, [])
})

test('only paths without parameters are kept, and those in one spelling', async (t) => {
  const rig = await setUp(t)
  await resolve(rig, '/t/shop/cart')
  for (const path of ['/t/shop/users/1', '/t/shop/files/a', '/t/shop/c%61rt', '/t/shop/%63art']) {
    assert.ok(match(rig, path), path)
    assert.equal(rig.definitions.known(path), undefined, path)
  }
})

test('who asks for what is not there does not reach the store again until something changes', async (t) => {
  const rig = await setUp(t)
  const ask = async (path: string) => assert.rejects(resolve(rig, path), { code: 'not-found' }, path)
  await ask('/t/shop/none')
  rig.asked.length = 0
  for (let i = 0; i < 100; i++) await ask(`/t/shop/none/${i}`)
  assert.deepEqual(rig.asked, [])
  for (let i = 0; i < 100; i++) {
    await ask('/invoke/NEW')
    await ask('/t/new/cart')
  }
  assert.deepEqual(rig.asked, ['fns.get', 'apps.byName'])
  await rig.store.fns.insert(makeFn({ id: 'NEW', name: 'new' }))
  await rig.store.triggers.insert(makeTrigger('new', '/none', 'NEW'))
  await rig.definitions.refresh()
  assert.deepEqual(short(await resolve(rig, '/invoke/NEW')), ['NEW', undefined, {}])
  assert.deepEqual(short(await resolve(rig, '/t/shop/none')), ['NEW', '/none', {}])
})

test('a change made here is in force once it is refreshed, and told', async (t) => {
  const rig = await setUp(t)
  const before = (await resolve(rig, '/t/shop/cart')).definition
  await resolve(rig, '/t/shop/users/1')
  assert.ok(match(rig, '/t/shop/cart'))
  assert.equal(await rig.definitions.isCurrent(before), true)
  await rig.store.fns.update('FN', (fn) => ({ ...fn, timeout: 7, updated_at: 'later' }))
  await rig.store.triggers.update('u', (it) => ({ ...it, source: '/people/:name' }))
  await rig.definitions.refresh()
  assert.equal(rig.definitions.known('/t/shop/cart'), undefined)
  assert.equal((await resolve(rig, '/t/shop/cart')).definition.fn.timeout, 7)
  await assert.rejects(resolve(rig, '/t/shop/users/1'), notFound('Trigger not found'))
  assert.deepEqual(short(await resolve(rig, '/t/shop/people/x')), ['FN', '/people/:name', { name: 'x' }])
  assert.deepEqual([await rig.definitions.isCurrent(before), rig.changes.length], [false, 1])
  await rig.definitions.refresh()
  assert.equal(rig.changes.length, 1)
})

test('a change made by another process is in force within 250 ms', async (t) => {
  const rig = await setUp(t)
  await resolve(rig, '/t/shop/users/1')
  assert.ok(match(rig, '/t/shop/users/1'))
  const other = await rig.other()
  await other.triggers.remove('u')
  rig.clock.advance(250)
  await until('the change to be seen', () => rig.changes.length === 1)
  await assert.rejects(resolve(rig, '/t/shop/users/1'), notFound('Trigger not found'))
  await other.apps.remove('APP')
  rig.clock.advance(250)
  await until('the removal to be seen', () => rig.changes.length === 2)
  await assert.rejects(resolve(rig, '/t/shop/cart'), notFound('App not found'))
  await assert.rejects(resolve(rig, '/invoke/FN'), notFound('Fn not found'))
})

test('while the store is away everything that was known is served on, with new values too', async (t) => {
  const rig = await setUp(t)
  for (const path of ['/invoke/FN', '/t/shop/cart', '/t/shop/users/1']) await resolve(rig, path)
  await rig.store[Symbol.asyncDispose]()
  await assert.rejects(rig.definitions.refresh(), { code: 'store-unavailable' })
  for (const path of ['/invoke/FN', '/t/shop/cart', '/t/shop/users/2', '/t/shop/files/a', '/t/shop/c%61rt']) {
    assert.ok(match(rig, path), path)
    assert.ok(await resolve(rig, path), path)
  }
  await assert.rejects(resolve(rig, '/t/shop/nowhere'), notFound('Trigger not found'))
  await assert.rejects(resolve(rig, '/t/other/cart'), { code: 'store-unavailable' })
})

test('a store that goes away right after a change does not take with it what was known before', async (t) => {
  const rig = await setUp(t)
  const paths = ['/invoke/FN', '/t/shop/cart', '/t/shop/users/1']
  for (const path of paths) await resolve(rig, path)
  await rig.store.fns.update('FN', (fn) => ({ ...fn, timeout: 7, updated_at: 'later' }))
  rig.away = 'data'
  const { definition } = await resolve(rig, '/invoke/FN')
  await rig.definitions.refresh()
  await assert.rejects(rig.definitions.isCurrent(definition), { code: 'store-unavailable' })
  for (const path of paths) assert.equal((await resolve(rig, path)).definition.fn.timeout, 30, path)
  // Nobody waits for the store once it has failed.
  rig.asked.length = 0
  for (const path of paths) assert.ok(match(rig, path), path)
  assert.deepEqual(rig.asked, [])
  assert.equal(rig.definitions.known('/t/shop/cart'), undefined, 'what may be out of date is not kept')
  rig.away = 'no'
  await rig.definitions.refresh()
  for (const path of paths) assert.equal((await resolve(rig, path)).definition.fn.timeout, 7, path)
})

test('a change made while the store was away is in force when it is back', async (t) => {
  const rig = await setUp(t)
  await resolve(rig, '/t/shop/cart')
  assert.ok(match(rig, '/t/shop/cart'))
  rig.away = 'all'
  await assert.rejects(rig.definitions.refresh())
  await rig.store.fns.update('FN', (fn) => ({ ...fn, timeout: 7, updated_at: 'later' }))
  assert.equal((await resolve(rig, '/t/shop/cart')).definition.fn.timeout, 30)
  rig.away = 'no'
  rig.clock.advance(250)
  await until('the change to be seen', () => rig.changes.length === 1)
  assert.equal((await resolve(rig, '/t/shop/cart')).definition.fn.timeout, 7)
})

test('that the store is away is seen by the poll, before any call has to find out', async (t) => {
  const rig = await setUp(t)
  await resolve(rig, '/t/shop/cart')
  await rig.store.fns.update('FN', (fn) => ({ ...fn, timeout: 7, updated_at: 'later' }))
  await rig.definitions.refresh()
  assert.equal(match(rig, '/t/shop/cart'), undefined)
  rig.away = 'all'
  await assert.rejects(rig.definitions.refresh())
  rig.asked.length = 0
  assert.equal(match(rig, '/t/shop/cart')?.definition.fn.timeout, 30)
  assert.deepEqual(rig.asked, [])
})

test('of two refreshes at a time the one asked for later counts', async (t) => {
  const rig = await setUp(t)
  const versions = [Promise.withResolvers<number>(), Promise.withResolvers<number>()]
  let turn = 0
  const store = { ...rig.store, version: () => (versions[turn++] ?? versions[1])?.promise as Promise<number> }
  let changes = 0
  await using definitions = new Definitions(store, virtualClock(), () => changes++)
  const later = definitions.refresh()
  versions[1]?.resolve(9)
  await later
  versions[0]?.resolve(8)
  await definitions.refresh()
  assert.equal(changes, 0)
})
