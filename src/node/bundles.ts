import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { extract } from 'tar-stream'
import { messageOf, SluiceError } from '../core/errors.ts'
import { listBelow } from '../host/folder.ts'
import type { BundleStore } from '../store/store.ts'

const DAY = 24 * 3_600_000

export interface BundleCacheOptions {
  /** Folder that holds one folder a bundle. */
  readonly dir: string
  readonly store: BundleStore
  /** Milliseconds since the epoch. */
  readonly wall: () => number
}

/**
 * The bundles of this machine: fetched from the store once, checked against their digest, unpacked read-only.
 * A half-made folder is never visible under a bundle's name, also after kill -9.
 */
export class BundleCache {
  readonly #options: BundleCacheOptions
  readonly #fetching = new Map<string, Promise<string>>()
  #made = 0

  constructor(options: BundleCacheOptions) {
    this.#options = options
  }

  /**
   * The folder of a bundle.
   * @throws SluiceError `no-image` when the store has no such bundle or its content is not what its digest says
   */
  open(digest: string): Promise<string> {
    let fetching = this.#fetching.get(digest)
    if (!fetching) {
      fetching = this.#open(digest)
      this.#fetching.set(digest, fetching)
      // A failure is forgotten, so that the next call tries again.
      fetching.catch(() => this.#fetching.delete(digest))
    }
    return fetching
  }

  /** Deletes what no function has referred to for 24 hours, here and in the store, and what a killed process left half-made. */
  async sweep(): Promise<void> {
    const { dir, store, wall } = this.#options
    await store.sweep(wall() - DAY)
    for (const name of await readdir(dir).catch(() => [])) {
      const path = join(dir, name)
      const abandoned = name.startsWith('.') && (await stat(path)).mtimeMs < wall() - DAY
      const gone = /^[0-9a-f]{64}$/.test(name) && !(await store.has(name))
      if (!abandoned && !gone) continue
      this.#fetching.delete(name)
      await removeReadOnly(path)
    }
  }

  async #open(digest: string): Promise<string> {
    const { dir, store } = this.#options
    const target = join(dir, digest)
    if (await exists(target)) return target
    const tar = await store.get(digest)
    if (!tar)
      throw new SluiceError('no-image', undefined, { detail: `bundle sha256:${digest} is not in the store` })
    const actual = createHash('sha256').update(tar).digest('hex')
    if (actual !== digest) {
      throw new SluiceError('no-image', undefined, {
        detail: `bundle sha256:${digest} was refused: its content has the digest sha256:${actual}`,
      })
    }
    const half = join(dir, `.${digest.slice(0, 16)}-${process.pid}-${++this.#made}`)
    try {
      await mkdir(half, { recursive: true, mode: 0o755 })
      await unpack(tar, half)
      // Another process may have been quicker: its folder has the same content.
      await rename(half, target).catch(async (error) => {
        if (!(await exists(target))) throw error
        await removeReadOnly(half)
      })
    } catch (error) {
      await removeReadOnly(half)
      throw new SluiceError('no-image', undefined, {
        cause: error,
        detail: `bundle sha256:${digest} could not be unpacked: ${messageOf(error)}`,
      })
    }
    return target
  }
}

/** Writes the files of a tar below `dir`, read-only. Anything but plain files and folders inside `dir` is refused. */
async function unpack(tar: Uint8Array, dir: string): Promise<void> {
  const folders = new Set<string>([dir])
  const entries = extract()
  entries.end(tar)
  for await (const entry of entries) {
    const { name, type, mode } = entry.header
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    if (name.startsWith('/') || name.includes('\0') || parts.includes('..')) {
      throw new Error(`entry ${JSON.stringify(name)} leaves the bundle`)
    }
    const path = join(dir, ...parts)
    if (type === 'directory') {
      await mkdir(path, { recursive: true })
      entry.resume()
    } else if (type === 'file') {
      await mkdir(dirname(path), { recursive: true })
      const chunks: Uint8Array[] = []
      for await (const chunk of entry) chunks.push(chunk as Uint8Array)
      await writeFile(path, Buffer.concat(chunks), { flag: 'wx', mode: (mode ?? 0) & 0o111 ? 0o555 : 0o444 })
    } else throw new Error(`entry ${JSON.stringify(name)} is a ${type}; only files and folders are allowed`)
    for (let at = type === 'file' ? dirname(path) : path; at.startsWith(dir); at = dirname(at))
      folders.add(at)
  }
  for (const folder of folders) if (folder !== dir) await chmod(folder, 0o555)
}

/** Removes a tree whose folders are read-only (which only root may do directly). */
async function removeReadOnly(path: string): Promise<void> {
  for (const name of await listBelow(path).catch(() => [])) {
    const below = join(path, name)
    if ((await lstat(below)).isDirectory()) await chmod(below, 0o755).catch(() => {})
  }
  await rm(path, { recursive: true, force: true })
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
