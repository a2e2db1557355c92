import { PassThrough, type Readable } from 'node:stream'

/** What a container writes, kept until somebody reads it. */
export interface Output {
  readonly stdout: Readable
  readonly stderr: Readable
  /** The last of both, at most 4 KiB. Empty once {@link started}. */
  tail(): string
  /** The container is ready: no last words are needed any more. */
  started(): void
  /** Ends both streams, also where a process that got away holds the pipe. What was written stays readable. */
  end(): void
}

/** Per stream. A container that writes more than this before anybody reads has to wait. */
const HELD = 1024 * 1024
const TAIL = 4096

/**
 * Reads both streams from the start: a container whose pipe is full stands still, and nobody else reads
 * before it is ready.
 */
export function holdOutput(stdout: Readable, stderr: Readable): Output {
  let tail: Buffer | undefined = Buffer.alloc(0)
  const hold = (source: Readable) => {
    const held = new PassThrough({ highWaterMark: HELD })
    source.on('data', (chunk: Buffer) => {
      if (tail) tail = Buffer.concat([tail, chunk.subarray(-TAIL)]).subarray(-TAIL)
    })
    source.on('error', () => held.end())
    source.on('close', () => held.end())
    source.pipe(held)
    return held
  }
  const held = { stdout: hold(stdout), stderr: hold(stderr) }
  return {
    ...held,
    tail: () => tail?.toString() ?? '',
    started() {
      tail = undefined
    },
    end() {
      stdout.destroy()
      stderr.destroy()
    },
  }
}
