import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { SluiceError } from '../core/errors.ts'
import type { RequestBody } from './forwarder.ts'

/** Bytes of a body that are kept in case another node must get it again. */
export const MAX_KEPT = 65_536

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
export function bodyOf(req: IncomingMessage, maxSize: number): Body {
  const length = req.headers['content-length']
  if (length === undefined && req.headers['transfer-encoding'] === undefined) return NO_BODY
  if (length === undefined) return new StreamedBody(req, maxSize)
  const size = Number(length)
  if (maxSize > 0 && size > maxSize) throw tooLarge(maxSize)
  if (size === 0) return NO_BODY
  return size <= MAX_KEPT ? new WholeBody(req) : new StreamedBody(req, 0)
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
  readonly #req: IncomingMessage
  readonly #chunks: Buffer[] = []

  constructor(req: IncomingMessage) {
    this.#req = req
  }

  whenReady(then: () => void): void {
    this.#req.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    this.#req.on('end', then)
  }

  open(): Buffer {
    const [first] = this.#chunks
    return this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks)
  }

  drop(): void {}
}

/** Large or of unknown length: passed on as it comes. Its beginning is kept while that is all there was. */
class StreamedBody implements Body {
  readonly #req: IncomingMessage
  readonly #maxSize: number
  #kept: Buffer[] | undefined = []
  #size = 0
  #started = false
  #ended = false
  #out: Readable | undefined

  constructor(req: IncomingMessage, maxSize: number) {
    this.#req = req
    this.#maxSize = maxSize
  }

  whenReady(then: () => void): void {
    then()
  }

  get replayable(): boolean {
    return this.#kept !== undefined
  }

  open(): Readable {
    const kept = this.#kept?.slice() ?? []
    const out = new Readable({
      highWaterMark: MAX_KEPT,
      read: () => {
        for (const chunk of kept.splice(0)) out.push(chunk)
        if (this.#ended) out.push(null)
        else this.#flow()
      },
    })
    // Whoever forwards hears of it; without a listener a late error would end the process.
    out.on('error', () => {})
    this.#out = out
    return out
  }

  drop(): void {
    this.#out = undefined
    this.#kept = undefined
    if (!this.#req.complete) this.#req.resume()
  }

  #flow(): void {
    if (this.#started) {
      this.#req.resume()
      return
    }
    this.#started = true
    this.#req.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#req.on('end', () => {
      this.#ended = true
      this.#out?.push(null)
    })
  }

  #take(chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > MAX_KEPT) this.#kept = undefined
    else this.#kept?.push(chunk)
    if (this.#maxSize > 0 && this.#size > this.#maxSize) this.#out?.destroy(tooLarge(this.#maxSize))
    else if (this.#out?.push(chunk) === false) this.#req.pause()
  }
}

const tooLarge = (maxSize: number) =>
  new SluiceError('too-large', undefined, { detail: `a request body may have ${maxSize} bytes` })
