import { type Clock, sleep } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { Target } from '../core/routes.ts'
import { type Definition, define } from '../runner/definition.ts'
import type { Store } from '../store/store.ts'

/** What the path of a call was resolved to. */
export interface Resolved {
  readonly definition: Definition
  /** The trigger's source, or undefined for a call by function id. */
  readonly source: string | undefined
}

/** Known definitions at once; the least recently looked up go first. */
const MOST = 20_000

/**
 * The definitions of functions, cached: calls don't wait for the store. Changes made here are seen at once,
 * those of other processes within `pollMs`; while the store is away, what is known is served on.
 */
export class Definitions implements AsyncDisposable {
  readonly #store: Store
  readonly #changed: () => void
  readonly #known = new Map<string, Resolved>()
  readonly #closing = new AbortController()
  readonly #polling: Promise<void>
  #version = -1

  /** @param changed called after anything changed in the store */
  constructor(store: Store, clock: Clock, changed: () => void, pollMs = 250) {
    this.#store = store
    this.#changed = changed
    this.#polling = this.#poll(clock, pollMs)
  }

  /** What is known about a target, without asking the store. */
  known(key: string): Resolved | undefined {
    return this.#known.get(key)
  }

  /** @throws SluiceError `not-found` with the text that clients know */
  async resolve(key: string, target: Target): Promise<Resolved> {
    const version = this.#version
    const resolved = target.kind === 'fn' ? await this.#byId(target.fn) : await this.#bySource(target)
    // What was read before a change must not outlive it.
    if (version === this.#version) {
      if (this.#known.size >= MOST) this.#known.delete(this.#known.keys().next().value as string)
      this.#known.set(key, resolved)
    }
    return resolved
  }

  /** Whether a definition is still the one in force. Throws when the store is away. */
  async isCurrent(definition: Definition): Promise<boolean> {
    const { fn } = definition
    const now = await this.#byId(fn.id).catch((error: unknown) => {
      if (error instanceof SluiceError && error.code === 'not-found') return undefined
      throw error
    })
    return now?.definition.version === definition.version
  }

  /** Forgets what may have changed. Cheap when nothing did. */
  async refresh(): Promise<void> {
    const version = await this.#store.version()
    if (version === this.#version) return
    const first = this.#version === -1
    this.#version = version
    this.#known.clear()
    if (!first) this.#changed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#polling
  }

  async #poll(clock: Clock, pollMs: number): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.refresh().catch(() => {}) // The store is away: what is known is served on.
      await sleep(clock, pollMs, signal).catch(() => {})
    }
  }

  async #byId(id: string): Promise<Resolved> {
    const fn = await this.#store.fns.get(id)
    const app = fn && (await this.#store.apps.get(fn.app_id))
    if (!fn || !app) throw new SluiceError('not-found', 'Fn not found', { detail: `fn ${id}` })
    return { definition: define(app, fn), source: undefined }
  }

  async #bySource({ app: name, source }: Extract<Target, { kind: 'trigger' }>): Promise<Resolved> {
    const app = await this.#store.apps.byName(name)
    if (!app) throw new SluiceError('not-found', 'App not found', { detail: `app ${name}` })
    const trigger = await this.#store.triggers.bySource(app.id, 'http', source)
    const fn = trigger && (await this.#store.fns.get(trigger.fn_id))
    if (!fn)
      throw new SluiceError('not-found', 'Trigger not found', { detail: `app ${name}, source ${source}` })
    return { definition: define(app, fn), source }
  }
}
