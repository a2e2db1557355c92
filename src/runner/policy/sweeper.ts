import type { Clock } from '../../core/clock.ts'
import { Alarm } from './alarm.ts'
import { type Entry, Heap } from './heap.ts'
import type { Work } from './work.ts'

/** Milliseconds between two sweeps, at least. */
const PAUSE = 250

interface Due<T> {
  readonly item: T
  at: number
  entry: Entry<Due<T>> | undefined
}

/** Comes back to each thing when its time has come, to many at once: never more often than every 250 ms. */
export class Sweeper<T> implements Disposable {
  readonly #clock: Clock
  readonly #sweep: (item: T) => number
  readonly #known = new Map<T, Due<T>>()
  readonly #due: Heap<Due<T>>
  readonly #alarm: Alarm

  /** @param sweep → when to come again (ms of the clock); `Infinity` = never, unless told */
  constructor(clock: Clock, sweep: (item: T) => number, work: Work) {
    this.#clock = clock
    this.#sweep = sweep
    this.#due = new Heap((a, b) => a.at < b.at, work)
    this.#alarm = new Alarm(clock, () => this.#ring())
  }

  /** Comes to `item` at `at` (ms of the clock) at the latest. */
  by(item: T, at: number): void {
    const known = this.#known.get(item)
    if (at === Infinity || (known && known.at <= at)) return
    const due = known ?? { item, at, entry: undefined }
    due.at = at
    if (due.entry) this.#due.moved(due.entry)
    else due.entry = this.#due.add(due)
    this.#known.set(item, due)
    this.#arm()
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]()
  }

  #arm(): void {
    const { first } = this.#due
    if (first) this.#alarm.in(Math.max(PAUSE, first.at - this.#clock.now()))
  }

  #ring(): void {
    const now = this.#clock.now()
    for (let due = this.#due.first; due?.entry && due.at <= now; due = this.#due.first) {
      this.#due.remove(due.entry)
      this.#known.delete(due.item)
      this.by(due.item, Math.max(now + 1, this.#sweep(due.item)))
    }
    this.#arm()
  }
}
