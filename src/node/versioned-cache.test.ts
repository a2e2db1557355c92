import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../core/errors.ts'
import { sizeOfKey, VersionedCache } from './versioned-cache.ts'

interface Thing {
  readonly made: number
}

/** A cache of two answers and two absences over a store that counts what it is asked. */
function setUp() {
  const freshness = { generation: 0, away: false }
  const store = {
    things: new Map<string, Thing>(),
    fails: undefined as Error | undefined,
    asked: [] as string[],
    /** Set to hold the next answer back. */
    gate: undefined as Promise<void> | undefined,
  }
  const read = async (key: string) => {
    store.asked.push(key)
    const thing = store.things.get(key)
    await store.gate
    if (store.fails) throw store.fails
    return thing
  }
  const bytes = {
    sizeOf: () => 100,
    maxBytes: 2 * (100 + sizeOfKey('a')),
    maxAbsentBytes: 2 * sizeOfKey('a'),
  }
  return { freshness, store, cache: new VersionedCache<Thing>({ freshness, read, ...bytes }) }
}

const away = new SluiceError('store-unavailable')

test('an answer is asked for once a generation, by however many', async () => {
  const { cache, store, freshness } = setUp()
  store.things.set('a', { made: 1 })
  assert.equal(cache.current('a'), undefined)
  await Promise.all([cache.get('a'), cache.get('a'), cache.confirm('a')])
  assert.deepEqual([store.asked, await cache.get('a'), cache.current('a')], [['a'], { made: 1 }, { made: 1 }])
  freshness.generation++
  store.things.set('a', { made: 2 })
  assert.equal(cache.current('a'), undefined)
  assert.deepEqual([await cache.get('a'), store.asked], [{ made: 2 }, ['a', 'a']])
})

test('that there is nothing is an answer too, until something changes', async () => {
  const { cache, store, freshness } = setUp()
  for (let i = 0; i < 3; i++) assert.equal(await cache.get('a'), undefined)
  assert.deepEqual(store.asked, ['a'])
  freshness.generation++
  store.things.set('a', { made: 1 })
  assert.deepEqual(await cache.get('a'), { made: 1 })
})

test('answers and absences are bounded', async () => {
  const { cache, store } = setUp()
  for (const key of ['a', 'b', 'c']) store.things.set(key, { made: 1 })
  for (const key of ['a', 'b', 'c', 'x', 'y', 'z']) await cache.get(key)
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => cache.current(key) !== undefined),
    [false, true, true],
  )
  store.asked.length = 0
  for (const key of ['z', 'y', 'x']) await cache.get(key)
  assert.deepEqual(store.asked, ['x'])
})

test('what was asked for before a change replaces nothing that was asked for after it', async () => {
  const { cache, store, freshness } = setUp()
  const { promise, resolve } = Promise.withResolvers<void>()
  store.gate = promise
  store.things.set('a', { made: 1 })
  const early = cache.get('a')
  freshness.generation++
  store.gate = undefined
  store.things.set('a', { made: 2 })
  assert.deepEqual(await cache.get('a'), { made: 2 })
  resolve()
  assert.deepEqual(await early, { made: 1 })
  assert.deepEqual(cache.current('a'), { made: 2 })
})

test('what was asked for before a change is no answer after it', async () => {
  const { cache, store, freshness } = setUp()
  store.things.set('a', { made: 1 })
  const early = [cache.get('a'), cache.get('none')]
  freshness.generation++
  await Promise.all(early)
  assert.equal(cache.current('a'), undefined)
  store.things.set('none', { made: 2 })
  assert.deepEqual(await cache.get('none'), { made: 2 })
})

test('that there was nothing before a change says nothing once it has been asked after it', async () => {
  const { cache, store, freshness } = setUp()
  const { promise, resolve } = Promise.withResolvers<void>()
  store.gate = promise
  const early = cache.get('none')
  freshness.generation++
  store.gate = undefined
  await cache.get('other')
  store.things.set('none', { made: 1 })
  resolve()
  assert.equal(await early, undefined)
  assert.deepEqual(await cache.get('none'), { made: 1 })
})

test('while the store is away the last answer is served, and it is not asked for each', async () => {
  const { cache, store, freshness } = setUp()
  store.things.set('a', { made: 1 })
  await cache.get('a')
  freshness.generation++
  store.fails = away
  assert.deepEqual(await cache.get('a'), { made: 1 })
  assert.deepEqual(await cache.get('a'), { made: 1 })
  assert.deepEqual(cache.current('a'), { made: 1 })
  assert.deepEqual(store.asked, ['a', 'a'])
  await assert.rejects(cache.confirm('a'), away)
  await assert.rejects(cache.get('never seen'), away)
  freshness.away = false
  store.fails = undefined
  store.things.set('a', { made: 2 })
  assert.deepEqual(await cache.get('a'), { made: 2 })
})

test('a store that fails at one thing only is asked on for the others', async () => {
  const { cache, store, freshness } = setUp()
  store.things.set('a', { made: 1 })
  await cache.get('a')
  freshness.generation++
  store.fails = new Error('row is corrupt')
  assert.deepEqual(await cache.get('a'), { made: 1 })
  assert.deepEqual([cache.current('a'), freshness.away], [undefined, false])
})

test('what has gone is not served when the store goes away later', async () => {
  const { cache, store, freshness } = setUp()
  store.things.set('a', { made: 1 })
  await cache.get('a')
  freshness.generation++
  store.things.delete('a')
  assert.equal(await cache.get('a'), undefined)
  freshness.generation++
  store.fails = away
  await assert.rejects(cache.get('a'), away)
})
