import { LRUCache } from 'lru-cache'
import { guessKey, parseTarget } from '../core/routes.ts'
import { LearnedRoutes } from './learned-routes.ts'

/** Bytes of all functions that have a number, with what placement keeps of each. */
const MAX_BYTES = 32 * 1_048_576
/** About what a function costs besides its text, here and in placement. */
const OVERHEAD = 512

interface Options {
  readonly maxBytes?: number
  readonly routes?: LearnedRoutes
  /** A number was given up. */
  readonly forget?: (fn: number) => void
}

/**
 * The functions that calls name. Placement knows them by number; a number is never given to another one. Bounded in
 * bytes, whatever callers name: the function not called for longest gives its number up.
 */
export class FunctionTable {
  readonly #numbers: LRUCache<string, number>
  readonly #keys = new Map<number, string>()
  readonly #routes: LearnedRoutes
  #next = 0

  constructor({ maxBytes = MAX_BYTES, routes = new LearnedRoutes(), forget }: Options = {}) {
    this.#routes = routes
    this.#numbers = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (_, key) => 2 * key.length + OVERHEAD,
      dispose: (number) => {
        this.#keys.delete(number)
        forget?.(number)
      },
    })
  }

  /** Functions that have a number. */
  get size(): number {
    return this.#keys.size
  }

  /** Bytes that are held for what callers named. */
  get bytes(): number {
    return this.#numbers.calculatedSize + this.#routes.bytes
  }

  /** The stable text that stands for what a call's target names: the function's id, or a guess until it is known. */
  keyOfTarget(target: string): string {
    const named = parseTarget(target)
    if (named?.kind === 'fn') return named.fn
    return (named && this.#routes.find(named)) ?? guessKey(target)
  }

  /** A node resolved a trigger's target to a function, by the trigger's source. */
  learn(target: string, source: string, functionId: string): void {
    const named = parseTarget(target)
    if (named?.kind === 'trigger') this.#routes.learn(named, source, functionId)
  }

  intern(key: string): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#next++
    this.#keys.set(number, key)
    this.#numbers.set(key, number)
    return number
  }

  /** The number of a function, if it has one. */
  find(key: string): number | undefined {
    return this.#numbers.peek(key)
  }

  /** The text of a number; empty once that was given up. */
  key(number: number): string {
    return this.#keys.get(number) ?? ''
  }
}
