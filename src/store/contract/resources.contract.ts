import assert from 'node:assert/strict'
import { app, fn, furnish, type Promises, trigger } from './ground.ts'

/** What every store promises about one resource: found, changed, removed. */
export function resourcesContract(promise: Promises): void {
  promise('what was inserted is found by id, name and source', async (store) => {
    const { shop, cart, buy } = await furnish(store)
    assert.deepEqual(await store.apps.get(shop.id), shop)
    assert.deepEqual(await store.apps.byName('shop'), shop)
    assert.deepEqual(await store.fns.get(cart.id), cart)
    assert.deepEqual(await store.triggers.get(buy.id), buy)
    assert.deepEqual(await store.triggers.bySource(shop.id, 'http', '/buy'), buy)
  })

  promise('what is not there is undefined, and cannot be updated or removed', async (store) => {
    for (const table of [store.apps, store.fns, store.triggers]) {
      assert.equal(await table.get('nothing'), undefined)
      assert.equal(await table.update('nothing', () => assert.fail()), undefined)
      assert.equal(await table.remove('nothing'), false)
    }
    assert.equal(await store.apps.byName('nothing'), undefined)
    assert.equal(await store.triggers.bySource('nothing', 'http', '/'), undefined)
    assert.deepEqual(await store.fns.list({ appId: 'nothing', limit: 9 }), [])
    assert.deepEqual(await store.triggers.list({ appId: 'nothing', limit: 9 }), [])
  })

  promise('any text comes back as it went in', async (store) => {
    const odd = { ...app('odd'), config: { 'k"\n': 'ünï😀\u0000', ['__proto__']: "'; drop table apps" } }
    await store.apps.insert(odd)
    assert.deepEqual(await store.apps.get(odd.id), odd)
  })

  promise('an update changes, and tells what is there now', async (store) => {
    const { shop, cart, pay, buy } = await furnish(store)
    const config = { FIRST: '1', SECOND: '2' }
    assert.deepEqual(await store.apps.update(shop.id, (it) => ({ ...it, config })), { ...shop, config })
    assert.deepEqual(await store.apps.get(shop.id), { ...shop, config })
    assert.equal((await store.fns.update(cart.id, (it) => ({ ...it, timeout: 100 })))?.timeout, 100)
    assert.equal((await store.fns.get(cart.id))?.timeout, 100)
    const moved = { fn_id: pay.id, source: '/moved' }
    assert.deepEqual(await store.triggers.update(buy.id, (it) => ({ ...it, ...moved })), {
      ...buy,
      ...moved,
    })
    assert.equal(await store.triggers.bySource(shop.id, 'http', '/buy'), undefined)
    assert.equal((await store.triggers.bySource(shop.id, 'http', '/moved'))?.fn_id, pay.id)
  })

  promise('an update that declines or throws leaves all as it was', async (store) => {
    const { shop } = await furnish(store)
    const before = await store.version()
    assert.deepEqual(await store.apps.update(shop.id, () => undefined), shop)
    await assert.rejects(
      store.apps.update(shop.id, () => {
        throw new Error('no')
      }),
      { message: 'no' },
    )
    assert.deepEqual(await store.apps.get(shop.id), shop)
    assert.equal(await store.version(), before)
    assert.ok(await store.apps.update(shop.id, (it) => ({ ...it, shape: 'GENERIC_ARM' })))
  })

  promise('an app goes with its functions and triggers', async (store) => {
    const { shop, cart, pay, buy } = await furnish(store)
    assert.equal(await store.apps.remove(shop.id), true)
    assert.equal(await store.apps.get(shop.id), undefined)
    assert.equal(await store.fns.get(cart.id), undefined)
    assert.equal(await store.fns.get(pay.id), undefined)
    assert.equal(await store.triggers.get(buy.id), undefined)
    assert.equal(await store.apps.remove(shop.id), false)
  })

  promise('a function goes with its triggers, its app stays', async (store) => {
    const { shop, cart, pay, buy } = await furnish(store)
    assert.equal(await store.fns.remove(cart.id), true)
    assert.equal(await store.triggers.get(buy.id), undefined)
    assert.deepEqual(await store.fns.get(pay.id), pay)
    assert.deepEqual(await store.apps.get(shop.id), shop)
  })

  promise('a name is free again after its holder has gone', async (store) => {
    const { shop, cart, buy } = await furnish(store)
    assert.equal(await store.triggers.remove(buy.id), true)
    await store.triggers.insert(trigger(cart, 'buy', '/buy'))
    await store.fns.remove(cart.id)
    await store.fns.insert(fn(shop, 'cart'))
    await store.apps.remove(shop.id)
    await store.apps.insert(app('shop'))
  })
}
