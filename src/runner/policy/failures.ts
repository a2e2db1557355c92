import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { formatDuration } from '../../core/units.ts'
import { backOff } from './backoff.ts'

/** Milliseconds after its back-off that a function without containers is remembered to fail. */
const REMEMBERED = 60_000

/** The starts of a function that failed in a row, when the next may be tried, and what calls hear until then. */
export class Failures {
  readonly #clock: Clock
  #count = 0
  #retryAt = 0
  #last: SluiceError | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#count
  }

  /** Milliseconds until a start may be tried again. */
  get backsOffFor(): number {
    return this.#count === 0 ? 0 : Math.max(0, this.#retryAt - this.#clock.now())
  }

  /** Until when they count (ms of the clock): for a while, since the next failure must not look like the first. */
  get forgottenAt(): number {
    return this.#retryAt + REMEMBERED
  }

  get areRemembered(): boolean {
    return this.#count > 0 && this.#clock.now() < this.forgottenAt
  }

  add(error: SluiceError): void {
    this.#last = error
    this.#retryAt = this.#clock.now() + backOff(++this.#count)
  }

  /** A start went well. */
  clear(): void {
    this.#count = 0
    this.#retryAt = 0
  }

  /** What a call hears while nothing is tried; `undefined` when the next start may be tried at once. */
  explain(): SluiceError | undefined {
    const wait = this.backsOffFor
    if (wait <= 0 || !this.#last) return undefined
    const { code, message, cause, detail = message } = this.#last
    return new SluiceError(code, message, {
      cause,
      detail: `${detail}; ${this.#count} starts failed in a row, the next is tried in ${formatDuration(wait)}`,
      retryAfter: wait,
    })
  }
}
