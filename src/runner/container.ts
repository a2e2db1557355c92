import { type Clock, limit } from '../core/clock.ts'
import { SluiceError, shortageOf } from '../core/errors.ts'
import type { Container, Cookie, RunResult, StopReason } from '../drivers/driver.ts'
import type { Output } from './output.ts'
import type { StartReason } from './policy/past.ts'
import type { Connection } from './protocols/exchange.ts'

/** Milliseconds that pausing and waking may take; beyond them a container is let go (container-contract §8). */
const PAUSE_LIMIT = 5_000
/** Milliseconds that a call's output may take through an engine. */
const LATE = 1_000

/** A running container in the runner's hands: how calls reach it, and what it printed. */
export class LiveContainer {
  readonly output: Output
  readonly connection: Connection
  /** Why it was started. */
  why: StartReason | undefined
  #call: { readonly id: string; endedAt: number } | undefined
  readonly #container: Container
  readonly #cookie: Cookie
  readonly #clock: Clock
  #end: Promise<RunResult> | undefined
  #gone = false

  constructor(container: Container, cookie: Cookie, output: Output, connection: Connection, clock: Clock) {
    this.output = output
    this.connection = connection
    this.#container = container
    this.#cookie = cookie
    this.#clock = clock
    void container.ended.then(() => {
      this.#gone = true
    })
  }

  /** It runs this call and no other: its output belongs to the call. */
  begins(callId: string): void {
    this.#call = { id: callId, endedAt: Infinity }
  }

  ends(): void {
    if (this.#call) this.#call.endedAt = this.#clock.now()
  }

  /** The call that a line of output which comes now belongs to; an engine may bring it a little later. */
  get callId(): string | undefined {
    const call = this.#call
    return call && this.#clock.now() - call.endedAt < LATE ? call.id : undefined
  }

  get id(): string {
    return this.#container.id
  }

  /** Settles when nothing of the container is left running. */
  get ended(): Promise<RunResult> {
    return this.#container.ended
  }

  /** It has ended, so that no other call may come here. */
  get gone(): boolean {
    return this.#gone
  }

  async pause(): Promise<void> {
    using soon = limit(this.#clock, PAUSE_LIMIT)
    await this.#container.pause(soon.signal)
  }

  async wake(): Promise<void> {
    using soon = limit(this.#clock, PAUSE_LIMIT)
    await this.#container.resume(soon.signal)
  }

  /** Adds to a lost connection how the container ended, once that is known. */
  async explain(error: SluiceError): Promise<SluiceError> {
    const shortage = shortageOf(error)
    if (shortage) return new SluiceError(shortage, undefined, { cause: error }) // its connection was not even opened
    const late = new Promise<undefined>((resolve) => this.#clock.after(1_000, () => resolve(undefined)))
    const result = await Promise.race([this.ended, late])
    const why = !result
      ? 'the function dropped its connection'
      : result.oom
        ? 'container out of memory, you may want to raise fn.memory for this function'
        : (result.error ?? `the container ended with status ${result.status}`)
    const tail = this.output.tail.trimEnd()
    const detail = tail === '' ? why : `${why}; its last output:\n${tail}`
    return new SluiceError(error.code, error.message, { cause: error.cause, detail })
  }

  /** Takes the container away, once. Its connections are cut. */
  stop(reason: StopReason): Promise<RunResult> {
    this.#end ??= this.#stop(reason)
    return this.#end
  }

  async #stop(reason: StopReason): Promise<RunResult> {
    const result = await this.#container.stop(reason)
    await this.connection.close()
    await this.#cookie[Symbol.asyncDispose]()
    return result
  }
}
