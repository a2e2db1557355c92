import assert from 'node:assert/strict'
import type { App } from '../../core/words.ts'
import type { Store } from '../store.ts'
import { app, furnish, type Promises, trigger } from './ground.ts'

/** What every store promises where several use it, and about its end. */
export function handlesContract(promise: Promises): void {
  promise('the version grows with every change, whoever made it', async (store, ground) => {
    await using other = await ground.open()
    let last = await store.version()
    const grown = async (what: string) => {
      const now = await store.version()
      assert.ok(now > last, `${what}: ${now} is not more than ${last}`)
      last = now
    }
    const { shop, cart, buy } = await furnish(other)
    await grown('insert elsewhere')
    await store.fns.update(cart.id, (it) => ({ ...it, memory: 256 }))
    await grown('update here')
    await other.triggers.remove(buy.id)
    await grown('removal elsewhere')
    await other.apps.remove(shop.id)
    await grown('removal of an app elsewhere')
  })

  promise('the version rests when nothing changes', async (store) => {
    const { shop, pay } = await furnish(store)
    const before = await store.version()
    await store.apps.list({ limit: 9 })
    await store.apps.remove('nothing')
    await assert.rejects(store.apps.insert(app(shop.name)))
    await assert.rejects(store.triggers.insert(trigger(pay, 'x', '/buy')))
    assert.equal(await store.version(), before)
  })

  promise('updates of one app from two handles lose nothing', async (store, ground) => {
    await using other = await ground.open()
    const { shop } = await furnish(store)
    const add = (handle: Store, key: string) =>
      handle.apps.update(shop.id, (it) => ({ ...it, config: { ...it.config, [key]: key } }))
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
    await Promise.all(keys.map((key, i) => add(i % 2 ? store : other, key)))
    const { config } = (await store.apps.get(shop.id)) as App
    assert.deepEqual(Object.keys(config).sort(), keys.toSorted())
  })

  promise('of many who want one name from two handles one gets it', async (store, ground) => {
    await using other = await ground.open()
    const wishes = Array.from({ length: 10 }, (_, i) => (i % 2 ? store : other).apps.insert(app('one')))
    const got = (await Promise.allSettled(wishes)).filter(({ status }) => status === 'fulfilled')
    assert.equal(got.length, 1)
    assert.equal((await store.apps.list({ limit: 99 })).length, 1)
  })

  promise('what one handle wrote another opened later finds', async (store, ground) => {
    const { shop, cart } = await furnish(store)
    await store[Symbol.asyncDispose]()
    await using later = await ground.open()
    assert.deepEqual(await later.apps.get(shop.id), shop)
    assert.deepEqual(await later.fns.get(cart.id), cart)
  })

  promise('a closed store says so, and may be closed again', async (store) => {
    await store[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
    await assert.rejects(store.apps.list({ limit: 1 }), { code: 'store-unavailable' })
    await assert.rejects(store.apps.insert(app('late')), { code: 'store-unavailable' })
  })

  promise('closing waits for what is running', async (store, ground) => {
    const running = Array.from({ length: 5 }, (_, i) => store.apps.insert(app(`a${i}`)))
    await store[Symbol.asyncDispose]()
    await Promise.all(running)
    await using again = await ground.open()
    assert.equal((await again.apps.list({ limit: 9 })).length, 5)
  })
}
