import { LRUCache } from 'lru-cache'
import { SluiceError } from '../core/errors.ts'

interface Answer<T> {
  readonly value: T
  readonly generation: number
}

/** Which answers of a store are good; shared by the caches of that store. */
export interface Freshness {
  /** Grows when anything has changed: what was answered before is to be asked again. */
  generation: number
  /** The store cannot be reached: what is known is served without asking. */
  away: boolean
}

export interface VersionedCacheOptions<T> {
  readonly freshness: Freshness
  /** Asks the store; `undefined` = there is no such thing. */
  readonly read: (key: string) => Promise<T | undefined>
  /** About how many bytes a value takes. */
  readonly sizeOf: (value: T) => number
  /** Bytes of all values, with their keys; those used longest ago go first. A value larger than this is not kept. */
  readonly maxBytes: number
  /** Bytes of the keys of which the store has said that there is nothing. */
  readonly maxAbsentBytes: number
}

/**
 * What a store has answered. An answer is good for one generation, also that there is nothing; older ones are only
 * served while the store is away. Many who ask for one key at a time ask the store once.
 */
export class VersionedCache<T extends object> {
  readonly #options: VersionedCacheOptions<T>
  readonly #answers: LRUCache<string, Answer<T>>
  /** Of generation `#reached`, as is who asks. */
  readonly #absent: LRUCache<string, true>
  readonly #asking = new Map<string, Promise<T | undefined>>()
  #reached = 0

  constructor(options: VersionedCacheOptions<T>) {
    this.#options = options
    const { maxBytes, maxAbsentBytes, sizeOf } = options
    this.#answers = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ value }, key) => sizeOf(value) + sizeOfKey(key),
    })
    this.#absent = new LRUCache({ maxSize: maxAbsentBytes, sizeCalculation: (_, key) => sizeOfKey(key) })
  }

  /** What is known, without asking. */
  current(key: string): T | undefined {
    const { generation, away } = this.#options.freshness
    const answer = this.#answers.get(key)
    return answer && (answer.generation === generation || away) ? answer.value : undefined
  }

  /** What the store says, or said last when it fails. @throws its error when nothing is known */
  async get(key: string): Promise<T | undefined> {
    const known = this.current(key)
    if (known) return known
    try {
      return await this.confirm(key)
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'store-unavailable')
        this.#options.freshness.away = true
      const last = this.#answers.get(key)
      if (!last) throw error
      return last.value
    }
  }

  /** What the store says. @throws its error, also when something is known */
  async confirm(key: string): Promise<T | undefined> {
    const { generation } = this.#options.freshness
    if (this.#reached !== generation) {
      this.#absent.clear()
      this.#asking.clear()
      this.#reached = generation
    }
    const answer = this.#answers.get(key)
    if (answer?.generation === generation) return answer.value
    if (this.#absent.has(key)) return undefined
    return this.#asking.get(key) ?? this.#ask(key, generation)
  }

  #ask(key: string, generation: number): Promise<T | undefined> {
    const asking = this.#options
      .read(key)
      .then((value) => {
        this.#keep(key, value, generation)
        return value
      })
      .finally(() => {
        if (this.#asking.get(key) === asking) this.#asking.delete(key)
      })
    this.#asking.set(key, asking)
    return asking
  }

  /** What was asked for before a change counts as old, and replaces nothing. */
  #keep(key: string, value: T | undefined, generation: number): void {
    const { freshness } = this.#options
    const isCurrent = generation === freshness.generation
    if (value !== undefined && (isCurrent || !this.#answers.has(key))) {
      this.#answers.set(key, { value, generation })
    } else if (value === undefined && isCurrent) {
      this.#answers.delete(key)
      this.#absent.set(key, true)
    }
  }
}

/** Two bytes a character at the most, and what an entry costs besides. */
export const sizeOfKey = (key: string): number => 2 * key.length + 128
