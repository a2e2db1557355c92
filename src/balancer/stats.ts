import { LRUCache } from 'lru-cache'
import type { Clock } from '../core/clock.ts'

/** Bytes of the rows that are kept, about 10,000: of 10 functions on 10 nodes, the last 100 seconds. */
const MAX_BYTES = 4 * 1_048_576
/** About what a row costs besides its names. */
const OVERHEAD = 256

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

/**
 * Throughput and wait per second, node and function. Reading takes nothing away: any number of readers may follow.
 * Bounded in bytes, whatever functions are called: the oldest rows go, and a second with too many shows some of its
 * functions more than once.
 */
export class Stats {
  readonly #clock: Clock
  readonly #run: string
  /** By number; the oldest first, since nothing but {@link LRUCache.peek} reads it. */
  readonly #rows: LRUCache<number, StatsRow>
  readonly #open: LRUCache<string, Bucket>
  #second = 0
  #written = 0

  /** @param maxBytes of the rows that are kept, and of those of the current second */
  constructor(clock: Clock, maxBytes: number = MAX_BYTES) {
    this.#clock = clock
    this.#run = Math.floor(clock.wall()).toString(36)
    this.#rows = new LRUCache<number, StatsRow>({ maxSize: maxBytes, sizeCalculation: sizeOf })
    this.#open = new LRUCache<string, Bucket>({
      maxSize: maxBytes,
      sizeCalculation: sizeOf,
      dispose: (bucket, _, reason) => reason === 'evict' && this.#close(bucket),
    })
  }

  /** Bytes that it holds. */
  get bytes(): number {
    return this.#rows.calculatedSize + this.#open.calculatedSize
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
    for (let i = Math.max(from, this.#written - this.#rows.size); i < this.#written; i++)
      stats.push(this.#rows.peek(i) as StatsRow)
    return { stats, cursor: `${this.#run}.${this.#written}` }
  }

  /** Closes the buckets of a second that is over. */
  #turn(): void {
    const second = Math.floor(this.#clock.wall() / 1_000)
    if (second === this.#second) return
    for (const bucket of this.#open.rvalues()) if (bucket) this.#close(bucket)
    this.#open.clear()
    this.#second = second
  }

  #close({ node, func, count, waits, waited }: Bucket): void {
    const timestamp = new Date(this.#second * 1_000).toISOString()
    const wait = waits === 0 ? 0 : waited / waits / 1_000
    this.#rows.set(this.#written++, { timestamp, tp: count, node, func, wait })
  }
}

const sizeOf = ({ node, func }: { readonly node: string; readonly func: string }): number =>
  2 * (node.length + func.length) + OVERHEAD
