import { extract, type Header } from 'tar-stream'
import { nextTurn } from '../core/clock.ts'

/** Files and folders that a bundle may have. Unpacking them takes a node seconds; more would keep its first call waiting. */
export const MOST_ENTRIES = 20_000

/** Bytes of an entry's path: what file systems take, with room for the folder that a bundle is unpacked to. */
const LONGEST_PATH = 1_024
const LONGEST_NAME = 255

/** Bytes that are looked at in one go. */
const STEP = 65_536

export interface BundleEntry {
  /** Below the bundle's folder, without `.`; empty for the folder itself. */
  readonly path: string
  readonly kind: 'file' | 'folder'
  /** Bytes of a file. */
  readonly size: number
  readonly executable: boolean
  readonly content: AsyncIterable<Uint8Array>
}

/**
 * The entries of a bundle, in their order, from the bytes of a tar that come in pieces of any size. One look at a time
 * is short, so that whatever the bytes are, others get their turn. An entry's content is read, or skipped, before the
 * next one.
 * @throws Error that names the entry and the rule that it breaks
 */
export async function* entriesOf(tar: AsyncIterable<Uint8Array>): AsyncGenerator<BundleEntry> {
  const reader = new TarReader()
  const filling = (async () => {
    for await (const piece of tar) if (!(await reader.take(piece))) return
    reader.end()
  })().catch((error: unknown) => reader.fail(error as Error))
  try {
    yield* reader.entries()
  } finally {
    reader.fail()
    await filling
  }
}

/**
 * The same bytes, looked at on their way: what is no bundle has no end.
 * @throws Error as {@link entriesOf} does
 */
export async function* checkedBundle(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new TarReader()
  const looking = Array.fromAsync(reader.entries(), () => {})
  looking.catch(() => {})
  try {
    for await (const piece of tar) {
      if (!(await reader.take(piece))) break
      yield piece
    }
    reader.end()
    await looking
  } finally {
    reader.fail()
  }
}

/** A tar that is read while it is being fed. */
class TarReader {
  readonly #tar = extract()
  readonly #closed: Promise<void> = new Promise<void>((resolve) =>
    this.#tar.on('close', resolve).on('error', () => {}),
  )

  /** Takes a piece as fast as its entries are read. Whether there is somebody to read more. */
  async take(piece: Uint8Array): Promise<boolean> {
    for (let at = 0; at < piece.length && !this.#tar.destroyed; at += STEP) {
      const { promise: drained, resolve: drain } = Promise.withResolvers<void>()
      if (this.#tar.write(piece.subarray(at, at + STEP))) nextTurn(drain)
      else this.#tar.once('drain', drain)
      await Promise.race([drained, this.#closed])
    }
    return !this.#tar.destroyed
  }

  end(): void {
    this.#tar.end(null)
  }

  /** Ends it before its end; after it, nothing happens. */
  fail(error: Error = new Error('nobody reads it any more')): void {
    this.#tar.destroy(error)
  }

  async *entries(): AsyncGenerator<BundleEntry> {
    const rules = new Rules()
    for await (const entry of this.#tar) {
      const { path, kind } = rules.judge(entry.header)
      const { size, mode } = entry.header
      yield {
        path,
        kind,
        size,
        executable: (mode & 0o111) !== 0,
        content: entry as AsyncIterable<Uint8Array>,
      }
      entry.resume()
    }
    rules.end()
  }
}

/** What the entries of one bundle must keep to, one after the other. */
class Rules {
  readonly #kinds = new Map<string, BundleEntry['kind']>()
  #count = 0
  #files = 0

  judge({ name, type }: Header): Pick<BundleEntry, 'path' | 'kind'> {
    const refuse = (rule: string): never => {
      throw new Error(`entry ${shown(name)} must ${rule}`)
    }
    if (++this.#count > MOST_ENTRIES)
      throw new Error(`it must have at most ${MOST_ENTRIES} files and folders`)
    const kind = type === 'file' ? 'file' : type === 'directory' ? 'folder' : undefined
    if (kind === undefined) return refuse(`be a plain file or a folder, not a ${type}`)
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    if (name.startsWith('/') || name.includes('\0') || parts.includes('..')) refuse('stay in the bundle')
    const path = parts.join('/')
    if (
      Buffer.byteLength(path) > LONGEST_PATH ||
      parts.some((part) => Buffer.byteLength(part) > LONGEST_NAME)
    )
      refuse(`have a path of at most ${LONGEST_PATH} bytes, ${LONGEST_NAME} a name`)
    if (kind === 'file') {
      if (path === '' || name.endsWith('/')) refuse('have a name')
      this.#files++
    }
    this.#place(path, kind, refuse)
    return { path, kind }
  }

  end(): void {
    if (this.#files === 0) throw new Error('it must have a file')
  }

  /** One thing a path: no file twice, and none where a folder is. */
  #place(path: string, kind: BundleEntry['kind'], refuse: (rule: string) => never): void {
    const there = this.#kinds.get(path)
    if (there !== undefined && !(kind === 'folder' && there === 'folder')) refuse('be there once')
    this.#kinds.set(path, kind)
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const above = path.slice(0, at)
      const known = this.#kinds.get(above)
      if (known === 'file') refuse('not be below a file')
      if (known === 'folder') return
      this.#kinds.set(above, 'folder')
    }
  }
}

/** A name as it may be shown. */
const shown = (name: string): string => {
  const text = JSON.stringify(name)
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}
