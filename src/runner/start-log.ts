import type { StartReason } from './policy/past.ts'

/** Where the time of one start went, and why it was needed. Durations in milliseconds; phases it never reached are absent. */
export interface StartRecord {
  readonly container: string
  readonly fn: string
  readonly fn_name: string
  readonly app_name: string
  /** RFC 3339: when it was decided. */
  readonly at: string
  readonly reason: StartReason
  /** The function that the last container had to make room for. */
  readonly evicted_for?: string | undefined
  /** Image or bundle. */
  readonly fetch?: number | undefined
  readonly create?: number | undefined
  /** From the start of the container until it could be called. */
  readonly ready?: number | undefined
  readonly total: number
  /** The code of what went wrong. */
  readonly error?: string | undefined
}

/** The last starts of a node, newest last. */
export class StartLog {
  readonly #most: number
  #records: StartRecord[] = []

  constructor(most = 1_000) {
    this.#most = most
  }

  add(record: StartRecord): void {
    this.#records.push(record)
    if (this.#records.length >= 2 * this.#most) this.#records = this.#records.slice(-this.#most)
  }

  /** The latest of all functions, or of one. */
  latest(fn?: string): StartRecord[] {
    const kept = this.#records.slice(-this.#most)
    return fn === undefined ? kept : kept.filter((record) => record.fn === fn)
  }
}
