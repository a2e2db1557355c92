import { createReadStream, existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Bytes, decompress, entriesOf, slice } from './bytes.ts'
import { refuse } from './refuse.ts'

/** Where the files of images are: a folder, or a tar. Paths have `/` between their parts. */
export interface Place {
  has(path: string): boolean
  /** As it is stored there. */
  read(path: string, signal: AbortSignal): Bytes
}

/** Manifests and configs are far smaller. */
const JSON_LIMIT = 4 * 1024 ** 2
const JSON_TOTAL = 64 * 1024 ** 2
/** Files of one archive. */
const FILES = 100_000

export function openFolder(dir: string): Place {
  return {
    has: (path) => existsSync(join(dir, path)),
    read: (path, signal) => createReadStream(join(dir, path), { signal }),
  }
}

interface Extent {
  readonly start: number
  readonly size: number
  /** Kept of what may be JSON, so that a compressed archive is not read again for it. */
  readonly content?: Buffer
}

/** Reads through a tar once; afterwards its files are found by their positions. */
export async function openTar(file: string, signal: AbortSignal): Promise<Place> {
  const whole = () => createReadStream(file, { signal, highWaterMark: 1024 ** 2 })
  const extents = new Map<string, Extent>()
  const links = new Map<string, string>()
  let kept = 0
  for await (const entry of entriesOf(decompress(whole()))) {
    const { name, type, linkname, size, byteOffset } = entry.header
    const path = posix.normalize(name)
    if (extents.size + links.size >= FILES) throw refuse(`it has more than ${FILES} files`)
    if (type === 'symlink') links.set(path, posix.join(posix.dirname(path), linkname))
    else if (type === 'link') links.set(path, posix.normalize(linkname))
    else if (type === 'file') {
      const content = size <= JSON_LIMIT && kept + size <= JSON_TOTAL ? await buffer(entry) : undefined
      const json = content !== undefined && /^\s*[[{]/.test(content.toString('latin1', 0, 16))
      if (json) kept += size
      extents.set(path, { start: byteOffset, size, ...(json && { content }) })
    }
    entry.resume()
  }
  const compressed = await isCompressed(file)
  const find = (path: string) => extents.get(path) ?? extents.get(links.get(path) ?? '')
  return {
    has: (path) => find(path) !== undefined,
    async *read(path, later) {
      const extent = find(path)
      if (!extent) throw refuse(`it has no ${path}`)
      const { start, size, content } = extent
      if (content) yield content
      else if (compressed)
        yield* slice(
          decompress(createReadStream(file, { signal: later, highWaterMark: 1024 ** 2 })),
          start,
          size,
        )
      else if (size > 0) yield* createReadStream(file, { signal: later, start, end: start + size - 1 })
    },
  }
}

/** A tar begins with a name, and with none of these. */
async function isCompressed(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { buffer: head } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    return /^(1f8b|28b52ffd)/.test(head.toString('hex'))
  } finally {
    await handle.close()
  }
}

/** The bytes of a manifest or config. */
export async function readSmall(place: Place, path: string, signal: AbortSignal): Promise<Buffer> {
  if (!place.has(path)) throw refuse(`it has no ${path}`)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of place.read(path, signal)) {
    size += chunk.length
    if (size > JSON_LIMIT) throw refuse(`${path} has more than ${JSON_LIMIT} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
