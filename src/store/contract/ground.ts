import { type App, FN_SETTINGS, type Fn, type Trigger } from '../../core/words.ts'
import type { Store } from '../store.ts'

/** Room for one new, empty store; `open` gives handles of that same store. Disposed after the handles. */
export interface Ground extends AsyncDisposable {
  open(): Promise<Store>
}

/** Tests one promise on a ground of its own. */
export type Promises = (title: string, check: (store: Store, ground: Ground) => Promise<void>) => void

/** An app `shop` with functions `cart` and `pay`, and `/buy` bound to `cart`. */
export async function furnish(store: Store): Promise<{ shop: App; cart: Fn; pay: Fn; buy: Trigger }> {
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

export const conflict = (message: string): { code: string; message: string } => ({
  code: 'conflict',
  message: message,
})

export const digest = (hex: string): string => hex.repeat(64)

const times = { created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z' }

let made = 0
const id = () => String(++made).padStart(26, '0')

export const app = (name: string): App => ({
  id: id(),
  name,
  config: {},
  annotations: {},
  syslog_url: '',
  shape: '',
  ...times,
})

export const fn = (parent: App, name: string): Fn => ({
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

export const trigger = (parent: Fn, name: string, source: string): Trigger => ({
  id: id(),
  name,
  app_id: parent.app_id,
  fn_id: parent.id,
  type: 'http',
  source,
  annotations: {},
  ...times,
})
