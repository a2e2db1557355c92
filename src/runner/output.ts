import type { Readable } from 'node:stream'
import type { Clock } from '../core/clock.ts'

const MAX_LINE = 16 * 1024
const TAIL = 4 * 1024
/** Characters of output that are read at once, and how many more a second: who prints more waits for its reader. */
const BURST = 4 * 1024 * 1024
const RATE = 1024 * 1024
/** What a line costs besides its characters. */
const LINE = 256

/** Takes one line of a function's output; `stream` tells which. */
export type LineSink = (line: string, stream: 'stdout' | 'stderr') => void

/**
 * Reads what a container prints: hands it on line by line (long lines are cut at 16 KiB, the last unterminated one is
 * flushed at the end) and keeps the last 4 KiB. It reads no faster than {@link RATE} for long, so that a function that
 * floods its log stands still in its pipe and costs its neighbours nothing.
 */
export class Output {
  #tail = ''
  readonly #clock: Clock
  readonly #streams: Readable[] = []
  /** What may be read now, below 0 what was read too much, at {@link #at} (ms of the clock). */
  #allowed = BURST
  #at: number
  #wake: Disposable | undefined
  #ended = false

  /** @param stdout absent where it carries the answers */
  constructor(stdout: Readable | undefined, stderr: Readable, clock: Clock, sink: LineSink) {
    this.#clock = clock
    this.#at = clock.now()
    if (stdout) this.#read(stdout, 'stdout', sink)
    this.#read(stderr, 'stderr', sink)
  }

  /** The last 4 KiB of both streams. */
  get tail(): string {
    return this.#tail
  }

  /** The container has ended: what is left of its output is little, and read at once. */
  end(): void {
    this.#ended = true
    this.#resume()
  }

  #read(stream: Readable, name: 'stdout' | 'stderr', sink: LineSink): void {
    let rest = ''
    this.#streams.push(stream)
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      this.#tail = (this.#tail + text).slice(-TAIL)
      const lines = (rest + text).split('\n')
      rest = lines.pop() as string
      for (const line of lines) for (const piece of pieces(line)) sink(piece, name)
      while (rest.length > MAX_LINE) {
        sink(rest.slice(0, MAX_LINE), name)
        rest = rest.slice(MAX_LINE)
      }
      this.#count(text.length + lines.length * LINE)
    })
    stream.on('end', () => {
      if (rest !== '') sink(rest, name)
      rest = ''
    })
    stream.on('error', () => {}) // The container's end says why.
  }

  #count(read: number): void {
    const now = this.#clock.now()
    this.#allowed = Math.min(BURST, this.#allowed + ((now - this.#at) / 1_000) * RATE) - read
    this.#at = now
    if (this.#allowed >= 0 || this.#ended) return
    for (const stream of this.#streams) stream.pause()
    this.#wake ??= this.#clock.after((-this.#allowed / RATE) * 1_000, () => this.#resume())
  }

  #resume(): void {
    this.#wake?.[Symbol.dispose]()
    this.#wake = undefined
    for (const stream of this.#streams) stream.resume()
  }
}

function* pieces(line: string): Generator<string> {
  for (let at = 0; at === 0 || at < line.length; at += MAX_LINE) yield line.slice(at, at + MAX_LINE)
}
