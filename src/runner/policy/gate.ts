import type { Clock } from '../../core/clock.ts'
import type { Start } from './start.ts'
import type { Workload } from './workload.ts'

/** Milliseconds that every start may take before it is held to hang. */
const LEAST = 1_000

/** The starts in flight of all functions: more at a time only slow each other down. */
export class Gate<D extends Workload, B> {
  readonly #clock: Clock
  readonly #most: number
  readonly #opened: () => void
  #count = 0

  /** @param opened told when another start may go */
  constructor(clock: Clock, most: number, opened: () => void) {
    this.#clock = clock
    this.#most = most
    this.#opened = opened
  }

  get inFlight(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count >= this.#most
  }

  /** Starts one after the other that `starts` more take as long as, behind those that they have to wait for. */
  rounds(starts: number): number {
    return Math.max(1, (this.#count + starts) / this.#most)
  }

  /** A start that hangs must not keep others out: it leaves when it takes far longer than `usual` (ms). */
  enter(start: Start<D, B>, usual: number): void {
    this.#count++
    start.gate = this.#clock.after(Math.max(LEAST, 2 * usual), () => this.leave(start))
  }

  leave(start: Start<D, B>): void {
    if (!start.gate) return
    start.gate[Symbol.dispose]()
    start.gate = undefined
    this.#count--
    this.#opened()
  }
}
