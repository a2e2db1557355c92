import type { IncomingHttpHeaders } from 'node:http'
import { SluiceError } from '../../core/errors.ts'
import type { FunctionRequest, Receiver, Surroundings, Verdict } from './exchange.ts'

export interface OutcomeOptions {
  readonly request: FunctionRequest
  readonly receiver: Receiver
  readonly around: Surroundings
  /** Lets go of the streams. Called once, before the receiver hears the last of it. */
  readonly release: (verdict: Verdict) => void
  /** What becomes of the container when its answer is too large. @default what {@link Outcome.onFailure} says then */
  readonly onTooLarge?: Verdict
}

/**
 * `open`: more of the answer is wanted. `condemned`: the function has said that it failed, what else it says is for
 * nobody. `asking`: its container is lost, and the cause asked for. `over`: everybody has heard how it ended.
 */
type State = 'open' | 'condemned' | 'asking' | 'over'
/** `completed`: the function has said all. `failed`: by its timeout, an abort, an answer that is none, or a cause that is known now. */
type Event = 'completed' | 'condemned' | 'failed' | 'lost'

/** Every way a call can go. Where the state stays as it is the event means nothing. */
// biome-ignore format: a table
const NEXT: Readonly<Record<State, Readonly<Record<Event, State>>>> = {
  open:      { completed: 'over',   condemned: 'condemned', failed: 'over', lost: 'asking' },
  condemned: { completed: 'over',   condemned: 'condemned', failed: 'over', lost: 'over' },
  asking:    { completed: 'asking', condemned: 'asking',    failed: 'over', lost: 'asking' },
  over:      { completed: 'over',   condemned: 'over',      failed: 'over', lost: 'over' },
}

/**
 * How one call ends, which it does exactly once, at its timeout at the latest. The first failure that is known is
 * the one that the receiver hears.
 */
export class Outcome {
  /** What becomes of the container if the call fails: it may be kept as long as it has heard nothing of the call. */
  onFailure: Verdict = 'discard'
  readonly #options: OutcomeOptions
  readonly #timer: Disposable
  #state: State = 'open'
  #error: SluiceError | undefined
  #received = 0

  constructor(options: OutcomeOptions) {
    this.#options = options
    const { request, around } = options
    this.#timer = around.clock.after(request.timeoutMs, () => this.fail(new SluiceError('timed-out')))
  }

  /** More of the answer is wanted. */
  get open(): boolean {
    return this.#state === 'open'
  }

  /** @param raw names and values in turn */
  head(headers: IncomingHttpHeaders, raw: readonly Buffer[], length: number | undefined): void {
    if (this.open && (length === undefined || this.#allows(length))) this.#options.receiver.head(headers, raw)
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

  /** The function has said all it had to say. */
  complete(verdict: Verdict, rawTrailers: readonly Buffer[] = []): void {
    if (this.#go('completed')) this.#finish(verdict, rawTrailers)
  }

  /** The function says that it failed; until that is complete it may be busy with the call. */
  condemn(error: SluiceError): void {
    if (this.#go('condemned')) this.#error = error
  }

  fail(error: SluiceError, verdict: Verdict = this.onFailure): void {
    if (!this.#go('failed')) return
    this.#error ??= error
    this.#finish(verdict)
  }

  /** The container is gone, or cannot be understood any more: the call fails with what its end tells. */
  lose(code: 'no-response' | 'response-head-too-large' = 'no-response', cause?: Error): void {
    if (!this.#go('lost')) return
    this.onFailure = 'discard'
    if (this.#state === 'over') this.#finish('discard')
    else this.#ask(new SluiceError(code, undefined, { cause }))
  }

  /** A connection ends before anybody can say why: the container's end is awaited, then the cause is named. */
  #ask(error: SluiceError): void {
    this.#options.around.explain(error).then(
      (explained) => this.fail(explained),
      () => this.fail(error),
    )
  }

  #go(event: Event): boolean {
    const before = this.#state
    this.#state = NEXT[before][event]
    return this.#state !== before
  }

  #allows(bytes: number): boolean {
    const max = this.#options.request.maxResponseSize
    if (max === 0 || bytes <= max) return true
    this.fail(
      new SluiceError('response-too-large', undefined, { detail: `the answer exceeds ${max} bytes` }),
      this.#options.onTooLarge,
    )
    return false
  }

  #finish(verdict: Verdict, rawTrailers: readonly Buffer[] = []): void {
    const { receiver, around, release } = this.#options
    this.#timer[Symbol.dispose]()
    release(verdict)
    if (this.#error) receiver.fail(this.#error)
    else receiver.end(rawTrailers)
    around.settled(verdict)
  }
}
