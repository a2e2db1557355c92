import assert from 'node:assert/strict'
import { app, conflict, fn, furnish, type Promises, trigger } from './ground.ts'

/** What every store promises about what is unique, and about parents. */
export function keysContract(promise: Promises): void {
  promise('names are taken once: apps in all, functions in an app', async (store) => {
    const { shop } = await furnish(store)
    const other = app('other')
    await store.apps.insert(other)
    await assert.rejects(store.apps.insert(app('shop')), conflict('App already exists'))
    await assert.rejects(
      store.fns.insert(fn(shop, 'cart')),
      conflict('Fn with specified name already exists'),
    )
    await store.fns.insert(fn(other, 'cart'))
  })

  promise('a trigger name is taken once a function, a source once an app', async (store) => {
    const { shop, cart, pay } = await furnish(store)
    const sameSource = conflict('Trigger with the same type and source exists on this app')
    await assert.rejects(store.triggers.insert(trigger(pay, 'fresh', '/buy')), sameSource)
    await assert.rejects(store.triggers.insert(trigger(cart, 'buy', '/buy')), sameSource)
    await assert.rejects(
      store.triggers.insert(trigger(cart, 'buy', '/fresh')),
      conflict('Trigger already exists'),
    )
    await store.triggers.insert(trigger(pay, 'buy', '/fresh'))
    assert.equal((await store.triggers.list({ appId: shop.id, limit: 9 })).length, 2)
  })

  promise('sources that take the same paths are one, whatever their parameters are called', async (store) => {
    const { shop, cart, pay } = await furnish(store)
    const sameSource = conflict('Trigger with the same type and source exists on this app')
    const item = trigger(cart, 'item', '/items/:id/*rest')
    await store.triggers.insert(item)
    await assert.rejects(store.triggers.insert(trigger(pay, 'a', '/items/:item/*all')), sameSource)
    for (const source of [
      '/items/:id',
      '/items/*rest',
      '/items/id/*rest',
      '/Items/:id/*rest',
      '/:id',
      '/*all',
    ])
      await store.triggers.insert(trigger(pay, `t${source.length}${source[1]}`, source))
    const other = app('other')
    const far = fn(other, 'far')
    await store.apps.insert(other)
    await store.fns.insert(far)
    await store.triggers.insert(trigger(far, 'far', '/items/:other/*rest'))
    // Its own trigger may rename them, another may not take them over.
    const renamed = await store.triggers.update(item.id, (it) => ({ ...it, source: '/items/:key/*rest' }))
    assert.equal(renamed?.source, '/items/:key/*rest')
    const buy = await store.triggers.bySource(shop.id, 'http', '/buy')
    await assert.rejects(
      store.triggers.update(buy?.id ?? '', (it) => ({ ...it, source: '/items/:x/*y' })),
      sameSource,
    )
  })

  promise('an update may not take what another holds', async (store) => {
    const { shop, cart, pay, buy } = await furnish(store)
    await store.apps.insert(app('other'))
    const second = trigger(cart, 'second', '/second')
    await store.triggers.insert(second)
    await assert.rejects(
      store.apps.update(shop.id, (it) => ({ ...it, name: 'other' })),
      conflict('App already exists'),
    )
    await assert.rejects(
      store.fns.update(pay.id, (it) => ({ ...it, name: 'cart' })),
      conflict('Fn with specified name already exists'),
    )
    await assert.rejects(
      store.triggers.update(second.id, (it) => ({ ...it, source: buy.source })),
      conflict('Trigger with the same type and source exists on this app'),
    )
    await assert.rejects(
      store.triggers.update(second.id, (it) => ({ ...it, name: buy.name })),
      conflict('Trigger already exists'),
    )
    assert.deepEqual(await store.triggers.get(second.id), second)
  })

  promise('a child without its parent is refused', async (store) => {
    const { shop, cart } = await furnish(store)
    const missing = (message: string) => ({ code: 'not-found', message })
    await assert.rejects(store.fns.insert(fn(app('ghost'), 'cart')), missing('App not found'))
    const ghost = fn(shop, 'ghost')
    await assert.rejects(store.triggers.insert(trigger(ghost, 't', '/t')), missing('Fn not found'))
    await assert.rejects(
      store.triggers.insert({ ...trigger(cart, 't', '/t'), app_id: 'ghost' }),
      missing('App not found'),
    )
  })

  promise('a trigger stays in the app of its function', async (store) => {
    const { cart, buy } = await furnish(store)
    const other = app('other')
    const far = fn(other, 'far')
    await store.apps.insert(other)
    await store.fns.insert(far)
    const foreign = { code: 'invalid', message: 'Invalid Fn ID - not owned by specified app' }
    await assert.rejects(store.triggers.insert({ ...trigger(cart, 't', '/t'), app_id: other.id }), foreign)
    await assert.rejects(
      store.triggers.update(buy.id, (it) => ({ ...it, fn_id: far.id })),
      foreign,
    )
    assert.deepEqual(await store.triggers.get(buy.id), buy)
  })
}
