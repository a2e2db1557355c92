import assert from 'node:assert/strict'
import { bundleImage } from '../../core/words.ts'
import type { StoredBundle } from '../store.ts'
import { digest, fn, furnish, type Promises } from './ground.ts'

/** What every store promises about bundles. */
export function bundlesContract(promise: Promises): void {
  promise('a bundle comes back byte for byte, also when put twice', async (store) => {
    const tar = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
    assert.equal(await store.bundles.has(digest('a')), false)
    assert.equal(await store.bundles.get(digest('a')), undefined)
    await store.bundles.put(digest('a'), [tar], 1)
    await store.bundles.put(digest('a'), [tar], 2)
    assert.equal(await store.bundles.has(digest('a')), true)
    const found = await store.bundles.get(digest('a'))
    assert.ok(found && (await contentOf(found)).equals(tar))
    assert.equal(found.size, tar.length)
  })

  promise('a sweep takes old bundles that nobody refers to', async (store) => {
    const { shop } = await furnish(store)
    for (const [key, at] of Object.entries({ a: 10, b: 10, c: 20, d: 10 }))
      await store.bundles.put(digest(key), [Buffer.from(key)], at)
    await store.bundles.put(digest('d'), [Buffer.from('d')], 20)
    await store.fns.insert({ ...fn(shop, 'bundled'), image: bundleImage(digest('a')) })
    assert.equal(await store.bundles.sweep(10), 0)
    assert.equal(await store.bundles.sweep(20), 1)
    assert.equal(await store.bundles.has(digest('a')), true, 'referred to')
    assert.equal(await store.bundles.has(digest('b')), false)
    assert.equal(await store.bundles.has(digest('c')), true, 'not old')
    assert.equal(await store.bundles.has(digest('d')), true, 'renewed')
  })

  promise('a bundle is swept once its function has moved on', async (store) => {
    const { shop } = await furnish(store)
    await store.bundles.put(digest('a'), [Buffer.from('a')], 1)
    const bundled = { ...fn(shop, 'bundled'), image: bundleImage(digest('a')) }
    await store.fns.insert(bundled)
    assert.equal(await store.bundles.sweep(2), 0)
    await store.fns.update(bundled.id, (it) => ({ ...it, image: 'other' }))
    assert.equal(await store.bundles.sweep(2), 1)
  })

  promise('a function of an unknown bundle is refused', async (store) => {
    const { shop, cart } = await furnish(store)
    const image = bundleImage(digest('e'))
    const refused = { code: 'invalid', message: 'Bundle not found', detail: /upload it first/ }
    await assert.rejects(store.fns.insert({ ...fn(shop, 'bundled'), image }), refused)
    await assert.rejects(
      store.fns.update(cart.id, (it) => ({ ...it, image })),
      refused,
    )
    assert.deepEqual(await store.fns.get(cart.id), cart)
  })
}

const contentOf = async (bundle: StoredBundle): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(bundle.read()))
