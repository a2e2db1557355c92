import { LRUCache } from 'lru-cache'
import { type Clock, sleep } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { NO_PARAMS, type SourceMatch, SourceTable, type Target } from '../core/routes.ts'
import { type Definition, define } from '../runner/definition.ts'
import type { Store } from '../store/store.ts'
import { type Freshness, sizeOfKey, VersionedCache } from './versioned-cache.ts'

/** What the path of a call was resolved to. */
export interface Resolved {
  readonly definition: Definition
  /** The trigger's source, or undefined for a call by function id. */
  readonly source: string | undefined
  /** What the path holds where the source has parameters, by name, decoded; empty without. */
  readonly params: Readonly<Record<string, string>>
}

const MIB = 1024 * 1024
/** Bytes of functions, of apps' sources, and of paths: of ordinary ones about 20,000 each. */
const MAX_BYTES = 32 * MIB
/** Bytes of names: who asks for what is not there, again and again, does not reach the store. */
const MAX_ABSENT_BYTES = MIB
/** Characters of what was asked for that an error repeats. */
const LONGEST_ECHO = 200

/**
 * The definitions of functions, cached: calls don't wait for the store. Changes made here are seen at once,
 * those of other processes within `pollMs`; while the store is away, what is known is served on.
 */
export class Definitions implements AsyncDisposable {
  readonly #store: Store
  readonly #changed: () => void
  readonly #freshness: Freshness = { generation: 0, away: false }
  readonly #fns: VersionedCache<Definition>
  readonly #apps: VersionedCache<AppSources>
  readonly #known = new LRUCache<string, Resolved>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ source = '' }, key) => sizeOfKey(key) + sizeOfKey(source),
  })
  readonly #closing = new AbortController()
  readonly #polling: Promise<void>
  #version: number | undefined
  #asked = 0
  #answered = 0

  /** @param changed called after anything changed in the store */
  constructor(store: Store, clock: Clock, changed: () => void, pollMs = 250) {
    this.#store = store
    this.#changed = changed
    const shared = { freshness: this.#freshness, maxBytes: MAX_BYTES, maxAbsentBytes: MAX_ABSENT_BYTES }
    this.#fns = new VersionedCache({
      ...shared,
      sizeOf: ({ app, fn }) => 2 * JSON.stringify([app, fn]).length,
      read: (id) => readDefinition(store, id),
    })
    this.#apps = new VersionedCache({
      ...shared,
      sizeOf: ({ bytes }) => bytes,
      read: (name) => readSources(store, name),
    })
    this.#polling = this.#poll(clock, pollMs)
  }

  /** What is known about a path without parameters: one look-up. */
  known(key: string): Resolved | undefined {
    return this.#known.get(key)
  }

  /**
   * What a target leads to, as far as that takes no question to the store: so it is for any values of parameters
   * once the app and the function are known.
   * @param key the target's path as it was sent
   */
  match(key: string, target: Target): Resolved | undefined {
    const resolved = target.kind === 'fn' ? this.#currentFn(target.fn) : this.#currentTrigger(target)
    if (resolved && this.#isPlain(key, resolved)) this.#remember(key, resolved)
    return resolved
  }

  /**
   * @param key the target's path as it was sent
   * @throws SluiceError `not-found` with the text that clients know
   */
  async resolve(key: string, target: Target): Promise<Resolved> {
    return (
      this.match(key, target) ??
      (target.kind === 'fn' ? await this.#askFn(target.fn) : await this.#askTrigger(target))
    )
  }

  /** Whether a definition is still the one in force. Throws when the store is away. */
  async isCurrent(definition: Definition): Promise<boolean> {
    return (await this.#fns.confirm(definition.fn.id))?.version === definition.version
  }

  /** Has what may have changed asked again. Cheap when nothing did. @throws when the store is away */
  async refresh(): Promise<void> {
    const turn = ++this.#asked
    const version = await this.#store.version().catch((error: unknown) => {
      this.#freshness.away = true
      throw error
    })
    // Of two at a time, the one that was asked for later is in force already.
    if (turn < this.#answered) return
    this.#answered = turn
    this.#freshness.away = false
    if (version === this.#version) return
    const isFirst = this.#version === undefined
    this.#version = version
    this.#freshness.generation++
    this.#known.clear()
    if (!isFirst) this.#changed()
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

  #currentFn(id: string): Resolved | undefined {
    const definition = this.#fns.current(id)
    return definition && { definition, source: undefined, params: NO_PARAMS }
  }

  #currentTrigger({ app, path }: TriggerTarget): Resolved | undefined {
    const bound = this.#apps.current(app)?.find(path)
    const definition = bound && this.#fns.current(bound.fn)
    return definition && { definition, source: bound.source, params: bound.params }
  }

  async #askFn(id: string): Promise<Resolved> {
    const definition = await this.#fns.get(id)
    if (!definition) throw notFound('Fn', `fn ${id.slice(0, LONGEST_ECHO)}`)
    return { definition, source: undefined, params: NO_PARAMS }
  }

  async #askTrigger({ app, path, source: asked }: TriggerTarget): Promise<Resolved> {
    const sources = await this.#apps.get(app)
    if (!sources) throw notFound('App', `app ${app.slice(0, LONGEST_ECHO)}`)
    const bound = sources.find(path)
    const definition = bound && (await this.#fns.get(bound.fn))
    if (!definition) throw notFound('Trigger', `app ${app}, source ${asked.slice(0, LONGEST_ECHO)}`)
    return { definition, source: bound.source, params: bound.params }
  }

  /** Whether few paths lead to it, so that no client can push out everything else; and it may not be out of date. */
  #isPlain(key: string, { params }: Resolved): boolean {
    return !this.#freshness.away && !key.includes('%') && Object.keys(params).length === 0
  }

  #remember(key: string, resolved: Resolved): void {
    this.#known.set(key, resolved)
  }
}

type TriggerTarget = Extract<Target, { kind: 'trigger' }>

/** The sources of one app, ready to be matched. */
interface AppSources {
  /** About how many it takes. */
  readonly bytes: number
  find(path: string): (SourceMatch & { readonly fn: string }) | undefined
}

async function readSources(store: Store, name: string): Promise<AppSources | undefined> {
  const app = await store.apps.byName(name)
  if (!app) return undefined
  const bound = await store.triggers.sources(app.id, 'http')
  const fns = new Map(bound.map(({ source, fn_id }) => [source, fn_id]))
  const table = new SourceTable(fns.keys())
  return {
    bytes: bound.reduce((sum, { source }) => sum + 2 * sizeOfKey(source), 0),
    find(path) {
      const match = table.match(path)
      return match && { ...match, fn: fns.get(match.source) as string }
    },
  }
}

async function readDefinition(store: Store, id: string): Promise<Definition | undefined> {
  const fn = await store.fns.get(id)
  const app = fn && (await store.apps.get(fn.app_id))
  return app && define(app, fn)
}

const notFound = (thing: string, detail: string) =>
  new SluiceError('not-found', `${thing} not found`, { detail })
