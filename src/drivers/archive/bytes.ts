import { pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract, type Header } from 'tar-stream'

export type Bytes = AsyncIterable<Uint8Array>

/** The content of what may be compressed by gzip or zstd, told by its first bytes. */
export async function* decompress(bytes: Bytes): AsyncGenerator<Uint8Array> {
  const rest = bytes[Symbol.asyncIterator]()
  try {
    let head = Buffer.alloc(0)
    while (head.length < 4) {
      const { value, done } = await rest.next()
      if (done) break
      head = Buffer.concat([head, value])
    }
    const whole = Readable.from(chain(head, { [Symbol.asyncIterator]: () => rest }), { objectMode: false })
    const unpacker = unpackerOf(head)
    yield* unpacker ? pipeline(whole, unpacker, () => {}) : whole
  } finally {
    await rest.return?.()
  }
}

function unpackerOf(head: Buffer): NodeJS.ReadWriteStream | undefined {
  const magic = head.subarray(0, 4).toString('hex')
  if (magic.startsWith('1f8b')) return createGunzip()
  if (magic === '28b52ffd') return createZstdDecompress()
  return undefined
}

async function* chain(head: Uint8Array, rest: Bytes): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head
  yield* rest
}

/** `size` bytes from `start` on. */
export async function* slice(bytes: Bytes, start: number, size: number): AsyncGenerator<Uint8Array> {
  let at = -start
  for await (const chunk of bytes) {
    const from = Math.max(0, -at)
    const part = chunk.subarray(from, size - at)
    at += chunk.length
    if (part.length > 0) yield part
    if (at >= size) return
  }
}

/** One entry of a tar: what it is, and its content. */
export interface Entry extends AsyncIterable<Uint8Array> {
  /** With the position of its content, which tar-stream's types do not tell. */
  readonly header: Header & { readonly byteOffset: number }
  resume(): unknown
}

/** The entries of a tar, to be read or resumed one after the other. Stopping early frees the source. */
export async function* entriesOf(bytes: Bytes): AsyncGenerator<Entry> {
  const tar = extract()
  const source = Readable.from(bytes, { objectMode: false })
  source.on('error', (error) => tar.destroy(error))
  source.pipe(tar as unknown as NodeJS.WritableStream)
  try {
    yield* tar as AsyncIterable<unknown> as AsyncIterable<Entry>
  } finally {
    source.destroy()
    tar.destroy()
  }
}
