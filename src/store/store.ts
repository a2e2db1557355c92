import type { App, Fn, Trigger } from '../core/words.ts'

/**
 * The port of everything that must survive: apps, functions, triggers, bundles. A store keeps and finds;
 * it sets no times, makes no ids, checks no limits and applies no defaults (the API does).
 * Safe to use from several processes at once and to kill at any point: each method does all or nothing.
 * Errors: `conflict` with the API's text when a unique key is taken, `not-found` when a parent is missing,
 * `invalid` when a trigger's function belongs to another app or a function's bundle is not stored,
 * `store-unavailable` when the store cannot be reached. After an error all is as it was.
 */
export interface Store extends AsyncDisposable {
  readonly apps: AppStore
  readonly fns: FnStore
  readonly triggers: TriggerStore
  readonly bundles: BundleStore

  /**
   * A number that grows with every change of an app, function or trigger, whichever process made it.
   * Cheap enough to ask several times a second.
   */
  version(): Promise<number>
}

/** Items sorted by `name`, then `id`; those after the cursor `after`. */
export interface Page {
  readonly limit: number
  readonly after?: { readonly name: string; readonly id: string } | undefined
  /** Only the item of exactly this name. */
  readonly name?: string | undefined
}

export interface AppStore {
  insert(app: App): Promise<void>
  get(id: string): Promise<App | undefined>
  byName(name: string): Promise<App | undefined>
  list(page: Page): Promise<App[]>
  /**
   * Changes what is there, and nothing that another has written meanwhile is lost: `change` may be asked again for that.
   * It returning `undefined` leaves all as it was. The app as it is now, or `undefined` when there is none.
   */
  update(id: string, change: (app: App) => App | undefined): Promise<App | undefined>
  /** With its functions and triggers. Whether it was there. */
  remove(id: string): Promise<boolean>
}

export interface FnStore {
  insert(fn: Fn): Promise<void>
  get(id: string): Promise<Fn | undefined>
  list(page: Page & { readonly appId: string }): Promise<Fn[]>
  update(id: string, change: (fn: Fn) => Fn | undefined): Promise<Fn | undefined>
  /** With its triggers. Whether it was there. */
  remove(id: string): Promise<boolean>
}

export type BoundSource = Pick<Trigger, 'source' | 'fn_id'>

/** A source is unique in its app and type; sources that differ only in the names of their parameters are one. */
export interface TriggerStore {
  insert(trigger: Trigger): Promise<void>
  get(id: string): Promise<Trigger | undefined>
  bySource(appId: string, type: string, source: string): Promise<Trigger | undefined>
  /** Every source of an app and the function that it is bound to, and nothing else of its triggers. */
  sources(appId: string, type: string): Promise<BoundSource[]>
  list(page: Page & { readonly appId: string; readonly fnId?: string | undefined }): Promise<Trigger[]>
  update(id: string, change: (trigger: Trigger) => Trigger | undefined): Promise<Trigger | undefined>
  remove(id: string): Promise<boolean>
}

/** Uncompressed tars by the hex sha256 of their content, in pieces of a size that nothing waits for. */
export interface BundleStore {
  /**
   * Idempotent; putting again renews `at` (ms since the epoch). The caller checks digest and content while it gives
   * the content: nothing is kept when that throws, or `signal` comes before the end.
   */
  put(digest: string, content: Pieces, at: number, signal?: AbortSignal): Promise<void>
  get(digest: string): Promise<StoredBundle | undefined>
  has(digest: string): Promise<boolean>
  /** Deletes those put before `before` (ms since the epoch) that no function refers to, and what was left half-put. How many bundles. */
  sweep(before: number): Promise<number>
}

export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export interface StoredBundle {
  /** Bytes. */
  readonly size: number
  /** The content, piece by piece. @throws the signal's reason when that comes first */
  read(signal?: AbortSignal): AsyncIterable<Uint8Array>
}
