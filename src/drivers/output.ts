import { type Readable, Transform } from 'node:stream'
import type { Clock } from '../core/clock.ts'

/** What a container writes, kept until somebody reads it. */
export interface Output {
  readonly stdout: Readable
  readonly stderr: Readable
  /** The last of both, at most 4 KiB. Empty once {@link started}. */
  tail(): string
  /** The container is ready: no last words are needed any more. */
  started(): void
  /**
   * The container has ended. What it wrote stays readable, at whatever pace; a stream ends after it, also where a
   * process that got away holds the pipe and has said nothing for a second.
   */
  ended(clock: Clock): void
  /** Ends both streams: what has not been read is lost. */
  cut(): void
}

export interface OutputOptions {
  /** Bytes of log that are passed on, of both streams together. @default no limit */
  readonly limit?: number | undefined
  /** Its stdout is an answer, no log: never cut. @default false */
  readonly cold?: boolean
}

/** Per stream. A container that writes more than this before anybody reads has to wait. */
const HELD = 1024 * 1024
const TAIL = 4096
const QUIET = 1_000

/**
 * Reads both streams from the start: a container whose pipe is full stands still, and nobody else reads
 * before it is ready.
 */
export function holdOutput(
  stdout: Readable,
  stderr: Readable,
  { limit = Number.POSITIVE_INFINITY, cold = false }: OutputOptions = {},
): Output {
  let tail: Buffer | undefined = Buffer.alloc(0)
  const log = logOf(limit)
  const hold = (source: Readable, pass: (chunk: Buffer) => Buffer) => {
    const held = new Transform({
      highWaterMark: HELD,
      transform: (chunk, _encoding, done) => done(null, pass(chunk)),
    })
    source.on('data', (chunk: Buffer) => {
      if (tail) tail = Buffer.concat([tail, chunk.subarray(-TAIL)]).subarray(-TAIL)
    })
    source.on('error', () => held.end())
    source.on('close', () => held.end())
    source.pipe(held)
    return held
  }
  const held = { stdout: hold(stdout, cold ? (chunk) => chunk : log), stderr: hold(stderr, log) }
  return {
    ...held,
    tail: () => tail?.toString() ?? '',
    started() {
      tail = undefined
    },
    ended(clock) {
      endWhenQuiet(stdout, held.stdout, clock)
      endWhenQuiet(stderr, held.stderr, clock)
    },
    cut() {
      stdout.destroy()
      stderr.destroy()
    },
  }
}

/** A reader that is behind keeps its stream open; the pipe's other end does not, unless it still speaks. */
function endWhenQuiet(source: Readable, held: Transform, clock: Clock): void {
  if (source.destroyed) return
  let spoke = false
  source.on('data', () => {
    spoke = true
  })
  const look = () => {
    if (source.destroyed) return
    if (!spoke && held.readableLength === 0) source.destroy()
    else {
      spoke = false
      clock.after(QUIET, look)
    }
  }
  clock.after(QUIET, look)
}

const NOTHING: Buffer = Buffer.alloc(0)

/** What of each chunk is passed on. The one that goes beyond the limit ends in a line that says so. */
function logOf(limit: number): (chunk: Buffer) => Buffer {
  let left = limit
  return (chunk) => {
    if (left < 0) return NOTHING
    left -= chunk.length
    if (left >= 0) return chunk
    const kept = chunk.subarray(0, chunk.length + left)
    const line = `[sluice] log limit of ${limit} bytes reached, the rest is dropped\n`
    return Buffer.concat([kept, Buffer.from(kept.at(-1) === 0x0a || kept.length === 0 ? line : `\n${line}`)])
  }
}
