import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type App, bundleImage, FN_SETTINGS, type Fn, type Trigger } from '../core/words.ts'
import type { Store } from './store.ts'

/** Room for one new, empty store; `open` gives handles of that same store. Disposed after the handles. */
export interface Ground extends AsyncDisposable {
  open(): Promise<Store>
}

/** What every store promises. */
export function storeContract(name: string, make: () => Promise<Ground>): void {
  const promise = (title: string, check: (store: Store, ground: Ground) => Promise<void>) =>
    test(title, async () => {
      await using ground = await make()
      await using store = await ground.open()
      await check(store, ground)
    })

  describe(`store: ${name}`, () => {
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

    promise(
      'sources that take the same paths are one, whatever their parameters are called',
      async (store) => {
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
      },
    )

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

    promise('a bundle comes back byte for byte, also when put twice', async (store) => {
      const tar = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
      assert.equal(await store.bundles.has(digest('a')), false)
      assert.equal(await store.bundles.get(digest('a')), undefined)
      await store.bundles.put(digest('a'), tar, 1)
      await store.bundles.put(digest('a'), tar, 2)
      assert.equal(await store.bundles.has(digest('a')), true)
      const found = await store.bundles.get(digest('a'))
      assert.ok(found && Buffer.from(found).equals(tar))
    })

    promise('a sweep takes old bundles that nobody refers to', async (store) => {
      const { shop } = await furnish(store)
      for (const [key, at] of Object.entries({ a: 10, b: 10, c: 20, d: 10 }))
        await store.bundles.put(digest(key), Buffer.from(key), at)
      await store.bundles.put(digest('d'), Buffer.from('d'), 20)
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
      await store.bundles.put(digest('a'), Buffer.from('a'), 1)
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
  })
}

/** An app `shop` with functions `cart` and `pay`, and `/buy` bound to `cart`. */
async function furnish(store: Store): Promise<{ shop: App; cart: Fn; pay: Fn; buy: Trigger }> {
  const shop = app('shop')
  const cart = fn(shop, 'cart')
  const pay = fn(shop, 'pay')
  const buy = trigger(cart, 'buy', '/buy')
  await store.apps.insert(shop)
  await store.fns.insert(cart)
  await store.fns.insert(pay)
  await store.triggers.insert(buy)
  return { shop, cart, pay, buy }
}

const conflict = (message: string) => ({ code: 'conflict', message })

const digest = (hex: string) => hex.repeat(64)

const times = { created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z' }

let made = 0
const id = () => String(++made).padStart(26, '0')

const app = (name: string): App => ({
  id: id(),
  name,
  config: {},
  annotations: {},
  syslog_url: '',
  shape: '',
  ...times,
})

const fn = (parent: App, name: string): Fn => ({
  ...FN_SETTINGS,
  id: id(),
  name,
  app_id: parent.id,
  image: 'img:1',
  memory: 128,
  timeout: 30,
  idle_timeout: 30,
  config: { KEY: 'value' },
  annotations: { note: { deep: [1, null, true] } },
  shape: '',
  ...times,
})

const trigger = (parent: Fn, name: string, source: string): Trigger => ({
  id: id(),
  name,
  app_id: parent.app_id,
  fn_id: parent.id,
  type: 'http',
  source,
  annotations: {},
  ...times,
})
