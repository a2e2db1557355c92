import type { Clock } from '../core/clock.ts'

/** Buckets that are kept: of 10 functions on 10 nodes, the last 100 seconds. */
const MAX_BUCKETS = 10_000

/** The replies of one node to the calls of one function within one second. */
export interface StatsRow {
  /** RFC 3339, the beginning of the second. */
  readonly timestamp: string
  /** How many. */
  readonly tp: number
  readonly node: string
  readonly func: string
  /** Mean of those that told it, in seconds. */
  readonly wait: number
}

export interface StatsPage {
  readonly stats: readonly StatsRow[]
  /** Pass it as `since` to get what came after. */
  readonly cursor: string
}

interface Bucket {
  readonly node: string
  readonly func: string
  count: number
  waits: number
  waited: number
}

/** Throughput and wait per second, node and function. Reading takes nothing away: any number of readers may follow. */
export class Stats {
  readonly #clock: Clock
  readonly #limit: number
  readonly #run: string
  readonly #ring: StatsRow[] = []
  readonly #open = new Map<string, Bucket>()
  #second = 0
  #written = 0

  constructor(clock: Clock, limit: number = MAX_BUCKETS) {
    this.#clock = clock
    this.#limit = limit
    this.#run = Math.floor(clock.wall()).toString(36)
  }

  /** @param waitMs milliseconds, `undefined` when the node did not tell */
  record(node: string, func: string, waitMs: number | undefined): void {
    this.#turn()
    const key = `${node} ${func}`
    let bucket = this.#open.get(key)
    if (!bucket) {
      bucket = { node, func, count: 0, waits: 0, waited: 0 }
      this.#open.set(key, bucket)
    }
    bucket.count++
    if (waitMs === undefined) return
    bucket.waits++
    bucket.waited += waitMs
  }

  /** The closed seconds after a cursor, oldest first; all that are kept for a cursor of another run or none. */
  since(cursor?: string): StatsPage {
    this.#turn()
    const [run, text] = cursor?.split('.') ?? []
    const from = run === this.#run && /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0
    const stats: StatsRow[] = []
    for (let i = Math.max(from, this.#written - this.#limit); i < this.#written; i++)
      stats.push(this.#ring[i % this.#limit] as StatsRow)
    return { stats, cursor: `${this.#run}.${this.#written}` }
  }

  /** Closes the buckets of a second that is over. */
  #turn(): void {
    const second = Math.floor(this.#clock.wall() / 1_000)
    if (second === this.#second) return
    const timestamp = new Date(this.#second * 1_000).toISOString()
    for (const { node, func, count, waits, waited } of this.#open.values()) {
      const wait = waits === 0 ? 0 : waited / waits / 1_000
      this.#ring[this.#written % this.#limit] = { timestamp, tp: count, node, func, wait }
      this.#written++
    }
    this.#open.clear()
    this.#second = second
  }
}
