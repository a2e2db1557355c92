import { Readable } from 'node:stream'
import type { Body } from './exchange.ts'

/** Takes what a stream of bytes says. */
export interface Sink {
  /** Returns false to hear nothing more until {@link Reading.resume}. */
  chunk(chunk: Buffer): boolean
  /** It said all it had to say. */
  end(): void
  /** It broke off. */
  cut(): void
}

/** A body for who reads it piece by piece. */
export const streamOf = (body: Body): Readable =>
  body instanceof Readable ? body : Readable.from([body], { objectMode: false })

/** One stream being read at the pace of who takes it. Exactly one of `end` and `cut` comes, unless {@link drop} was called. */
export class Reading {
  readonly #stream: Readable
  readonly #sink: Sink
  #over = false

  constructor(stream: Readable, sink: Sink) {
    this.#stream = stream
    this.#sink = sink
    stream.on('data', (chunk: Buffer) => {
      if (!this.#over && !sink.chunk(chunk)) stream.pause()
    })
    stream.on('end', () => this.#finish(true))
    stream.on('error', () => {}) // `close` follows
    stream.on('close', () => this.#finish(false))
    if (stream.destroyed || stream.readableEnded) queueMicrotask(() => this.#finish(stream.readableEnded))
    else stream.resume()
  }

  /** Bytes that have arrived and that nobody has taken yet. */
  get waiting(): number {
    return this.#stream.readableLength
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Nobody wants the rest. It is read all the same, so that whoever writes it is not held up. */
  drop(): void {
    this.#over = true
    this.#stream.resume()
  }

  #finish(whole: boolean): void {
    if (this.#over) return
    this.#over = true
    if (whole) this.#sink.end()
    else this.#sink.cut()
  }
}
