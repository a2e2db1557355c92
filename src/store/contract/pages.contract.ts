import assert from 'node:assert/strict'
import { app, fn, furnish, type Promises, trigger } from './ground.ts'

/** What every store promises about lists. */
export function pagesContract(promise: Promises): void {
  promise('the sources of an app are told with their functions', async (store) => {
    const { shop, cart, pay } = await furnish(store)
    const other = app('other')
    const far = fn(other, 'far')
    await store.apps.insert(other)
    await store.fns.insert(far)
    await store.triggers.insert(trigger(far, 'far', '/far'))
    await store.triggers.insert(trigger(pay, 'pay', '/pay/:id'))
    await store.triggers.insert({ ...trigger(pay, 'tick', '/tick'), type: 'other' })
    const sources = await store.triggers.sources(shop.id, 'http')
    assert.deepEqual(
      sources.toSorted((a, b) => (a.source < b.source ? -1 : 1)),
      [
        { source: '/buy', fn_id: cart.id },
        { source: '/pay/:id', fn_id: pay.id },
      ],
    )
    assert.deepEqual(await store.triggers.sources('nothing', 'http'), [])
  })

  promise('pages go on after the last item, by the bytes of the name', async (store) => {
    const names = ['a', 'Z', 'b', 'é', '😀', 'ｚ', '10', '9']
    for (const each of names) await store.apps.insert(app(each))
    const seen: string[] = []
    for (let page = await store.apps.list({ limit: 3 }); page.length > 0; ) {
      seen.push(...page.map((it) => it.name))
      page = await store.apps.list({ limit: 3, after: page.at(-1) })
    }
    assert.deepEqual(
      seen,
      names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    )
  })

  promise('equal names under several functions are all seen, in any page size', async (store) => {
    const { shop, cart, pay } = await furnish(store)
    await store.triggers.insert(trigger(pay, 'buy', '/too'))
    const [first, ...rest] = await store.triggers.list({ appId: shop.id, limit: 1 })
    assert.deepEqual(rest, [])
    const second = await store.triggers.list({ appId: shop.id, limit: 1, after: first })
    assert.deepEqual([first?.fn_id, second[0]?.fn_id].sort(), [cart.id, pay.id].sort())
  })

  promise('a list keeps to its app, its function and its exact name', async (store) => {
    const { shop, cart, pay, buy } = await furnish(store)
    const other = app('other')
    await store.apps.insert(other)
    await store.fns.insert(fn(other, 'cart'))
    assert.deepEqual(await store.apps.list({ limit: 9, name: 'shop' }), [shop])
    assert.deepEqual(await store.apps.list({ limit: 9, name: 'sho' }), [])
    assert.deepEqual(await store.fns.list({ appId: shop.id, limit: 9 }), [cart, pay])
    assert.deepEqual(await store.fns.list({ appId: shop.id, limit: 9, name: 'cart' }), [cart])
    assert.deepEqual(await store.triggers.list({ appId: shop.id, fnId: pay.id, limit: 9 }), [])
    assert.deepEqual(await store.triggers.list({ appId: shop.id, fnId: cart.id, limit: 9, name: 'buy' }), [
      buy,
    ])
    assert.deepEqual(await store.apps.list({ limit: 9, name: 'shop', after: shop }), [])
  })
}
