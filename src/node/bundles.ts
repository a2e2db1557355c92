import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { messageOf, SluiceError } from '../core/errors.ts'
import type { Source } from '../drivers/driver.ts'
import { isThere } from '../host/folder.ts'
import type { BundleStore, StoredBundle } from '../store/store.ts'
import { strip } from './strip.ts'
import { removeUnpacked, unpack } from './unpack.ts'

const DAY = 24 * 3_600_000

export interface BundleCacheOptions {
  /** Folder that holds one folder a bundle. */
  readonly dir: string
  readonly store: BundleStore
  /** Milliseconds since the epoch. */
  readonly wall: () => number
  /** @default the system's */
  readonly clock?: Clock
}

export type BundleSource = Extract<Source, { kind: 'bundle' }>

const STRIPPED = '.stripped'

/** One fetch, for all who want its bundle. */
interface Fetch {
  readonly source: Promise<BundleSource>
  readonly ending: AbortController
  waiting: number
  /** The folder is there. */
  done: boolean
}

/**
 * The bundles of this machine: fetched from the store once, checked against their digest, unpacked read-only,
 * with the JavaScript of their TypeScript beside them. A half-made or half-deleted folder is never visible under a bundle's name, also after kill -9.
 */
export class BundleCache {
  readonly #options: BundleCacheOptions
  readonly #fetches = new Map<string, Fetch>()
  /** Those that are being asked about, and moved away when the store has them no more. */
  readonly #sweeping = new Map<string, Promise<void>>()
  #made = 0

  constructor(options: BundleCacheOptions) {
    this.#options = options
  }

  /**
   * The folder of a bundle. Who fetches it together waits together; it ends when the last one's signal says so.
   * @throws SluiceError `no-image` when the store has no such bundle or its content is not what its digest says
   */
  async open(digest: string, signal?: AbortSignal): Promise<BundleSource> {
    await this.#sweeping.get(digest)
    signal?.throwIfAborted()
    const fetch = this.#fetches.get(digest) ?? this.#begin(digest)
    if (fetch.done || !signal) return fetch.source
    return this.#wait(digest, fetch, signal)
  }

  /** Deletes what no function has referred to for 24 hours, here and in the store, and what a killed process left half-made. */
  async sweep(): Promise<void> {
    const { dir, store, wall } = this.#options
    await store.sweep(wall() - DAY)
    for (const name of await readdir(dir).catch(() => [])) {
      const path = join(dir, name)
      const [, digest] = /^([0-9a-f]{64})(\.stripped)?$/.exec(name) ?? []
      if (digest !== undefined) await this.#sweep(digest)
      else if (name.startsWith('.') && (await stat(path)).mtimeMs < wall() - DAY) await removeUnpacked(path)
    }
  }

  /** Its name is free before anything in it is deleted, and who asks for it meanwhile waits for what comes of it. */
  async #sweep(digest: string): Promise<void> {
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    this.#sweeping.set(digest, over)
    try {
      if (await this.#options.store.has(digest)) return
      this.#fetches.delete(digest)
      const away = [
        await this.#moveAway(digest, digest),
        await this.#moveAway(digest, `${digest}${STRIPPED}`),
      ]
      end()
      for (const path of away) await removeUnpacked(path)
    } finally {
      this.#sweeping.delete(digest)
      end()
    }
  }

  /** Where it is now, if it was there at all. */
  async #moveAway(digest: string, name: string): Promise<string> {
    const away = join(this.#options.dir, this.#halfName(digest))
    await rename(join(this.#options.dir, name), away).catch((error) => {
      if (error.code !== 'ENOENT') throw error
    })
    return away
  }

  #begin(digest: string): Fetch {
    const ending = new AbortController()
    const fetch: Fetch = { source: this.#fetch(digest, ending.signal), ending, waiting: 0, done: false }
    this.#fetches.set(digest, fetch)
    fetch.source.then(
      () => {
        fetch.done = true
      },
      // A failure is forgotten, so that the next call tries again.
      () => this.#forget(digest, fetch),
    )
    return fetch
  }

  async #wait(digest: string, fetch: Fetch, signal: AbortSignal): Promise<BundleSource> {
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    fetch.waiting++
    try {
      return await Promise.race([fetch.source, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
      if (--fetch.waiting === 0 && !fetch.done) {
        // At once, so that who comes now does not wait for what has been given up.
        this.#forget(digest, fetch)
        fetch.ending.abort(signal.reason)
      }
    }
  }

  #forget(digest: string, fetch: Fetch): void {
    if (this.#fetches.get(digest) === fetch) this.#fetches.delete(digest)
  }

  async #fetch(digest: string, signal: AbortSignal): Promise<BundleSource> {
    const dir = join(this.#options.dir, digest)
    if (!(await isThere(dir))) await this.#unpack(digest, dir, signal)
    const stripped = `${dir}${STRIPPED}`
    return { kind: 'bundle', dir, ...((await isThere(stripped)) && { stripped }) }
  }

  /** What is beside a bundle is there before it is. */
  async #unpack(digest: string, target: string, signal: AbortSignal): Promise<void> {
    const { clock = systemClock, dir, store } = this.#options
    const bundle = await store.get(digest)
    if (!bundle) throw noImage(digest, 'is not in the store')
    const half = join(dir, this.#halfName(digest))
    try {
      await mkdir(half, { recursive: true, mode: 0o755 })
      await unpack(checked(digest, bundle, signal), half)
      const to = `${target}${STRIPPED}`
      await strip({ from: half, half: join(dir, this.#halfName(digest)), to }, clock, signal)
      // Another process may have been quicker: its folder has the same content.
      await rename(half, target).catch(async (error) => {
        if (!(await isThere(target))) throw error
        await removeUnpacked(half)
      })
    } catch (error) {
      await removeUnpacked(half)
      if (error instanceof SluiceError) throw error
      signal.throwIfAborted()
      throw noImage(digest, `could not be unpacked: ${messageOf(error)}`, error)
    }
  }

  #halfName(digest: string): string {
    return `.${digest.slice(0, 16)}-${process.pid}-${++this.#made}`
  }
}

/** The content of a bundle; what is not what its digest says has no end. */
async function* checked(
  digest: string,
  bundle: StoredBundle,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const piece of bundle.read(signal)) {
    hash.update(piece)
    yield piece
  }
  const actual = hash.digest('hex')
  if (actual !== digest) throw noImage(digest, `was refused: its content has the digest sha256:${actual}`)
}

const noImage = (digest: string, what: string, cause?: unknown): SluiceError =>
  new SluiceError('no-image', undefined, { cause, detail: `bundle sha256:${digest} ${what}` })
