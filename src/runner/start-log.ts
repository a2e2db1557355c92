import type { Clock } from '../core/clock.ts'
import type { SluiceError } from '../core/errors.ts'
import type { Definition } from './definition.ts'
import type { StartReason } from './policy/past.ts'
import type { Start } from './policy/start.ts'
import type { StartOrder } from './start.ts'

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

/** @param error why the start, which is over, failed */
export function recordOf(
  start: Pick<Start<Definition, unknown>, 'began' | 'reason' | 'evictedFor'>,
  order: StartOrder,
  clock: Clock,
  error?: SluiceError,
): StartRecord {
  const { app, fn } = order.definition
  const now = clock.now()
  const { fetched, created } = order
  return {
    container: order.id,
    fn: fn.id,
    fn_name: fn.name,
    app_name: app.name,
    at: new Date(clock.wall() - (now - start.began)).toISOString(),
    reason: start.reason,
    evicted_for: start.evictedFor,
    fetch: fetched === undefined ? undefined : round(fetched - start.began),
    create: fetched === undefined || created === undefined ? undefined : round(created - fetched),
    ready: created === undefined || error ? undefined : round(now - created),
    total: round(now - start.began),
    error: error?.code,
  }
}

/** Milliseconds to a hundredth. */
const round = (ms: number) => Math.round(ms * 100) / 100

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
