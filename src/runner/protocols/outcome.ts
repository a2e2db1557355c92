import type { IncomingHttpHeaders } from 'node:http'
import { SluiceError } from '../../core/errors.ts'
import type { FunctionRequest, Receiver, Surroundings, Verdict } from './exchange.ts'

export interface OutcomeOptions {
  readonly request: FunctionRequest
  readonly receiver: Receiver
  readonly around: Surroundings
  /** Lets go of the streams. Called once, before the receiver hears the last of it. */
  readonly release: (verdict: Verdict) => void
}

/**
 * How one call ends, which it does exactly once: by an answer, a failure, its timeout or an abort, whichever comes
 * first. Everything that is said after that, and everything but an end while {@link lose} asks for the cause, is
 * ignored.
 */
export class Outcome {
  /** What becomes of the container if the call fails: it may be kept as long as it has heard nothing of the call. */
  onFailure: Verdict = 'discard'
  readonly #options: OutcomeOptions
  readonly #timer: Disposable
  #received = 0
  #lost = false
  #over = false

  constructor(options: OutcomeOptions) {
    this.#options = options
    const { request, around } = options
    this.#timer = around.clock.after(request.timeoutMs, () => this.fail(new SluiceError('timed-out')))
  }

  /** More of the answer is wanted. */
  get open(): boolean {
    return !this.#over && !this.#lost
  }

  /** @param pairs names and values of the answer's headers, as bytes in latin-1 */
  head(pairs: readonly string[], length: number | undefined): void {
    if (!this.open || (length !== undefined && !this.#allows(length))) return
    const all = length === undefined ? pairs : [...pairs, 'Content-Length', String(length)]
    this.#options.receiver.head(
      byName(all),
      all.map((text) => Buffer.from(text, 'latin1')),
    )
  }

  /** Adds to the size of the answer. @returns false when that is too large now: the call has failed */
  count(bytes: number): boolean {
    this.#received += bytes
    return this.open && this.#allows(this.#received)
  }

  /** @returns false when the receiver can take no more for now */
  data(chunk: Buffer): boolean {
    return this.open ? this.#options.receiver.data(chunk) : true
  }

  succeed(verdict: Verdict): void {
    if (this.open) this.#finish(verdict, undefined)
  }

  fail(error: SluiceError): void {
    if (!this.#over) this.#finish(this.onFailure, error)
  }

  /** The container is gone, or cannot be understood any more: the call fails with what its end tells. */
  lose(): void {
    if (!this.open) return
    this.#lost = true
    this.onFailure = 'discard'
    const error = new SluiceError('no-response')
    this.#options.around.explain(error).then(
      (explained) => this.fail(explained),
      () => this.fail(error),
    )
  }

  #allows(bytes: number): boolean {
    const max = this.#options.request.maxResponseSize
    if (max === 0 || bytes <= max) return true
    this.fail(new SluiceError('response-too-large', undefined, { detail: `the answer exceeds ${max} bytes` }))
    return false
  }

  #finish(verdict: Verdict, error: SluiceError | undefined): void {
    const { receiver, around, release } = this.#options
    this.#over = true
    this.#timer[Symbol.dispose]()
    release(verdict)
    if (error) receiver.fail(error)
    else receiver.end([])
    around.settled(verdict)
  }
}

function byName(pairs: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string> = Object.create(null)
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] as string).toLowerCase()
    const value = pairs[i + 1] as string
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return headers
}
