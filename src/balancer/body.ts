import { Readable } from 'node:stream'
import { SluiceError } from '../core/errors.ts'
import type { RequestBody } from './forwarder.ts'

/** Bytes of a body that are kept in case another node must get it again. */
export const MAX_KEPT = 65_536

/** Where a body comes from. Nothing comes before the first `resume`. */
export interface Source {
  /** Bytes that were announced, 0 = there is no body, `undefined` = until it ends. */
  readonly length: number | undefined
  /** Says who hears it; before the first `resume`. */
  to(sink: Sink): void
  resume(): void
  /** A little more may still come. */
  pause(): void
}

export interface Sink {
  data(chunk: Uint8Array): void
  /** The body is whole. A client that goes away before is heard of elsewhere. */
  end(): void
}

/** The body of a client's request, on its way to a node, and maybe to another one. */
export interface Body {
  /** Calls back, at once or later, when the first attempt can be made. Never if the client goes away before. */
  whenReady(then: () => void): void
  /** Whether the whole of it can be sent (again). */
  readonly replayable: boolean
  /** What an attempt sends. An earlier attempt gets no more of it. */
  open(): RequestBody
  /** Nobody wants the rest: it is read and thrown away, so that the client can read its answer. */
  drop(): void
}

/** @param maxSize bytes; 0 = no limit. A body without a length that grows beyond it fails with `too-large`. */
export function bodyOf(source: Source, maxSize: number): Body {
  const { length } = source
  if (length === 0) return NO_BODY
  if (length === undefined) return new ReplayBuffer(source, maxSize)
  if (maxSize > 0 && length > maxSize) throw tooLarge(maxSize)
  return length <= MAX_KEPT ? new WholeBody(source) : new ReplayBuffer(source, 0)
}

const NO_BODY: Body = {
  whenReady: (then) => then(),
  replayable: true,
  open: () => undefined,
  drop() {},
}

/** Small and of known length: sent in one piece once it is complete, so a slow client holds no node up. */
class WholeBody implements Body {
  readonly replayable = true
  readonly #source: Source
  readonly #pieces: Uint8Array[] = []

  constructor(source: Source) {
    this.#source = source
  }

  whenReady(then: () => void): void {
    this.#source.to({ data: (chunk) => void this.#pieces.push(chunk), end: then })
    this.#source.resume()
  }

  open(): Uint8Array {
    const [first] = this.#pieces
    return this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces)
  }

  drop(): void {}
}

/**
 * Large or of unknown length: passed on as it comes. The pieces stand in one row, in the order they came; the attempt
 * that is on takes them from the front, and they stay there for a next one while all of them are small enough to keep.
 * The source flows only while that attempt has taken everything and wants more, so nothing overtakes anything.
 */
class ReplayBuffer implements Body, Sink {
  readonly #source: Source
  readonly #maxSize: number
  readonly #pieces: Uint8Array[] = []
  /** The piece that the attempt takes next. */
  #next = 0
  #size = 0
  #replayable = true
  #ended = false
  #dropped = false
  #failure: SluiceError | undefined
  #out: Readable | undefined
  #wanted = false

  constructor(source: Source, maxSize: number) {
    this.#source = source
    this.#maxSize = maxSize
    source.to(this)
  }

  whenReady(then: () => void): void {
    then()
  }

  get replayable(): boolean {
    return this.#replayable
  }

  open(): Readable {
    const out = new Readable({
      highWaterMark: MAX_KEPT,
      read: () => {
        if (out !== this.#out) return
        this.#wanted = true
        this.#give()
      },
    })
    // Whoever forwards hears of it; without a listener a late error would end the process.
    out.on('error', () => {})
    this.#out = out
    this.#next = 0
    this.#wanted = false
    this.#source.pause()
    if (this.#failure) out.destroy(this.#failure)
    return out
  }

  drop(): void {
    this.#dropped = true
    this.#out = undefined
    this.#replayable = false
    this.#pieces.length = 0
    if (!this.#ended) this.#source.resume()
  }

  data(chunk: Uint8Array): void {
    if (this.#dropped || this.#failure) return
    this.#size += chunk.length
    if (this.#maxSize > 0 && this.#size > this.#maxSize) {
      this.#failure = tooLarge(this.#maxSize)
      this.#out?.destroy(this.#failure)
      return
    }
    this.#pieces.push(chunk)
    if (this.#size > MAX_KEPT) this.#replayable = false
    this.#give()
  }

  end(): void {
    this.#ended = true
    this.#give()
  }

  /** Everything that is there and wanted, in order; then lets more come, or holds it back. */
  #give(): void {
    const out = this.#out
    if (!out) return
    while (this.#wanted && this.#next < this.#pieces.length) {
      this.#wanted = false
      // To push may be to be asked for more before it returns.
      if (out.push(this.#pieces[this.#next++])) this.#wanted = true
    }
    if (!this.#replayable) this.#forget()
    if (this.#next < this.#pieces.length) this.#source.pause()
    else if (this.#ended) out.push(null)
    else if (this.#wanted) this.#source.resume()
    else this.#source.pause()
  }

  #forget(): void {
    this.#pieces.splice(0, this.#next)
    this.#next = 0
  }
}

const tooLarge = (maxSize: number) =>
  new SluiceError('too-large', undefined, { detail: `a request body may have ${maxSize} bytes` })
