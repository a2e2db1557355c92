import type { Readable, Writable } from 'node:stream'
import type { RunResult } from '../../drivers/driver.ts'

/** What a container of a stdio protocol is reached by. */
export interface Stdio {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Settles when nothing of the container is left running. */
  readonly ended: Promise<RunResult>
}

/**
 * A function's stdin. A function may stop reading it, or end, at any time: what is written then is dropped,
 * and what that means the function's answer tells.
 */
export class Stdin {
  readonly #stream: Writable
  #drained: (() => void) | undefined

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', () => {}) // EPIPE: `close` follows
    stream.on('drain', () => this.#wake())
    stream.on('close', () => this.#wake())
  }

  /** Everything written so far is out of our hands, and the function may still read. */
  get flushed(): boolean {
    return this.#stream.writable && this.#stream.writableLength === 0
  }

  /** Returns false when the function should catch up first; `drained` is called once it has, or will not. */
  write(bytes: Buffer, drained: () => void = () => {}): boolean {
    if (!this.#stream.writable || this.#stream.write(bytes)) return true
    this.#drained = drained
    return false
  }

  end(): void {
    this.#stream.end()
  }

  #wake(): void {
    const drained = this.#drained
    this.#drained = undefined
    drained?.()
  }
}
