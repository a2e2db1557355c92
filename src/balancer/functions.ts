import { guessKey } from '../core/routes.ts'

const INVOKE = '/invoke/'

/** Functions with a number at once; the one not called for longest gives its number up. */
const MAX_FUNCTIONS = 65_536
const MAX_LEARNED = 10_000

interface FunctionLimits {
  readonly functions: number
  readonly learned: number
}

/**
 * The functions that calls name. Placement knows them by number; a number is never given to another one.
 * The paths of triggers are learned from what nodes say they resolved to.
 */
export class FunctionTable {
  readonly #numbers = new Map<string, number>()
  readonly #keys = new Map<number, string>()
  readonly #learned = new Map<string, string>()
  readonly #limits: FunctionLimits
  #next = 0

  constructor(limits: FunctionLimits = { functions: MAX_FUNCTIONS, learned: MAX_LEARNED }) {
    this.#limits = limits
  }

  /** The stable text that stands for what a call's target names: the function's id, or a guess until it is known. */
  keyOfTarget(target: string): string {
    const path = pathOf(target)
    if (!path.startsWith(INVOKE)) return touch(this.#learned, path, this.#limits.learned) ?? guessKey(path)
    const id = path.slice(INVOKE.length)
    return id.includes('/') ? guessKey(path) : id
  }

  /** A node resolved a trigger's target. */
  learn(target: string, functionId: string): void {
    const path = pathOf(target)
    if (this.#learned.get(path) === functionId) return
    this.#learned.set(path, functionId)
    if (this.#learned.size > this.#limits.learned) this.#learned.delete(oldest(this.#learned))
  }

  intern(key: string): number {
    const known = touch(this.#numbers, key, this.#limits.functions)
    if (known !== undefined) return known
    const number = this.#next++
    this.#numbers.set(key, number)
    this.#keys.set(number, key)
    if (this.#numbers.size > this.#limits.functions) this.#forget(oldest(this.#numbers))
    return number
  }

  /** The number of a function, if it has one. */
  find(key: string): number | undefined {
    return this.#numbers.get(key)
  }

  /** The text of a number; empty once that was given up. */
  key(number: number): string {
    return this.#keys.get(number) ?? ''
  }

  #forget(key: string): void {
    this.#keys.delete(this.#numbers.get(key) as number)
    this.#numbers.delete(key)
  }
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

const oldest = (map: ReadonlyMap<string, unknown>): string => map.keys().next().value as string

/**
 * Reads, and makes the entry the youngest once the map is half full: before that nothing is about to go,
 * and moving an entry of a small map costs far more than reading it.
 */
function touch<T>(map: Map<string, T>, key: string, limit: number): T | undefined {
  const value = map.get(key)
  if (value === undefined || map.size * 2 < limit) return value
  map.delete(key)
  map.set(key, value)
  return value
}
