import { PassThrough, type Readable } from 'node:stream'

/** A container's two streams, as an engine sends them: one connection, in frames. */
export interface Split {
  readonly stdout: Readable
  readonly stderr: Readable
  /** Settles when both have everything. */
  readonly ended: Promise<void>
}

const HEAD = 8
const STDERR = 2

/**
 * Takes frames apart (`stream, 0, 0, 0, length` in 8 bytes, then the bytes), wherever chunks are cut. Reads no faster
 * than both streams are read.
 */
export function splitFrames(source: Readable): Split {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const ended = Promise.withResolvers<void>()
  const head = Buffer.alloc(HEAD)
  let filled = 0
  let left = 0

  /** Writes one chunk's part of a frame. @returns how many bytes of the chunk it took */
  const take = (chunk: Buffer, full: Set<PassThrough>): number => {
    if (left === 0) {
      const taken = chunk.copy(head, filled, 0, HEAD - filled)
      filled += taken
      if (filled === HEAD) {
        left = head.readUInt32BE(4)
        filled = 0
      }
      return taken
    }
    const target = head[0] === STDERR ? stderr : stdout
    const part = chunk.subarray(0, left)
    left -= part.length
    // One that nobody wants any more must not hold up the other.
    if (!target.destroyed && !target.write(part)) full.add(target)
    return part.length
  }

  source.on('data', (chunk: Buffer) => {
    const full = new Set<PassThrough>()
    for (let at = 0; at < chunk.length; ) at += take(chunk.subarray(at), full)
    if (full.size === 0) return
    source.pause()
    void Promise.all([...full].map(untilWritable)).then(() => source.resume())
  })
  source.on('error', () => {}) // a connection that broke: `close` follows
  source.once('close', () => {
    stdout.end()
    stderr.end()
    ended.resolve()
  })
  return { stdout, stderr, ended: ended.promise }
}

function untilWritable(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
  })
}
