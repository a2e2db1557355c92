import { type Clock, sleep } from '../core/clock.ts'
import type { Stat } from './driver.ts'
import { decimate } from './stats.ts'

const KEPT = 240

/** The samples of one container: each goes to whoever listens, and few enough are kept for as long as it is known. */
export class Measurements {
  #kept: readonly Stat[] = []
  #over = false
  readonly #listeners = new Set<() => void>()
  #last: Stat | undefined

  /** A sample later than all before it. */
  add(stat: Stat): void {
    if (this.#over) return
    this.#last = stat
    // Thinned out at twice the size, so that most samples cost nothing.
    const kept = [...this.#kept, stat]
    this.#kept = kept.length > 2 * KEPT ? decimate(KEPT, kept) : kept
    this.#wake()
  }

  /** There will be no more. */
  end(): void {
    this.#over = true
    this.#wake()
  }

  /** At most 240, the oldest first. */
  kept(): readonly Stat[] {
    return decimate(KEPT, this.#kept)
  }

  /** The latest and those that follow, until the end or until aborted. A slow reader misses some. */
  async *stream(signal: AbortSignal): AsyncGenerator<Stat> {
    let seen: Stat | undefined
    while (!signal.aborted) {
      if (this.#last !== seen) {
        seen = this.#last as Stat
        yield seen
      } else if (this.#over) return
      else await this.#change(signal)
    }
  }

  #wake(): void {
    for (const listener of this.#listeners) listener()
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#listeners.add(resolve)
    signal.addEventListener('abort', () => resolve(), { once: true, signal: this.#listening(promise) })
    await promise
    this.#listeners.delete(resolve)
  }

  /** Aborts once `promise` settles: a signal that lives long must not collect listeners. */
  #listening(promise: Promise<void>): AbortSignal {
    const done = new AbortController()
    void promise.then(() => done.abort())
    return done.signal
  }
}

export interface SampleOptions {
  readonly clock: Clock
  /** Reads the metrics once; `undefined` when the container has gone. */
  readonly read: () => Stat['metrics'] | undefined
  readonly ended: Promise<unknown>
  /** Milliseconds between samples. @default 1000 */
  readonly every?: number
}

/** Samples a container from now until its end. */
export function measure({ clock, read, ended, every = 1_000 }: SampleOptions): Measurements {
  const measurements = new Measurements()
  const over = new AbortController()
  void ended.then(() => over.abort())
  const run = async () => {
    while (!over.signal.aborted) {
      const metrics = read()
      if (metrics) measurements.add({ timestamp: new Date(clock.wall()), metrics })
      await sleep(clock, every, over.signal).catch(() => {})
    }
    measurements.end()
  }
  void run()
  return measurements
}
