import type { Clock } from '../../core/clock.ts'

/** One timer for the earliest of many times. */
export class Alarm implements Disposable {
  readonly #clock: Clock
  readonly #ring: () => void
  #set: { readonly at: number; readonly timer: Disposable } | undefined

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Rings in `ms`, unless it rings earlier anyway. */
  in(ms: number): void {
    const at = this.#clock.now() + ms
    if (ms === Infinity || (this.#set && this.#set.at <= at)) return
    this[Symbol.dispose]()
    const timer = this.#clock.after(ms, () => {
      this.#set = undefined
      this.#ring()
    })
    this.#set = { at, timer }
  }

  [Symbol.dispose](): void {
    this.#set?.timer[Symbol.dispose]()
    this.#set = undefined
  }
}
