import type { Instance } from './instance.ts'

/** The live containers of one function: used last in, first out, so that surplus ones grow old and go. */
export class Instances<B> {
  readonly #concurrency: number
  /** Awake, with a free slot, the most recently used last. */
  readonly #free: Instance<B>[] = []
  /** The most recently used last. */
  readonly #paused: Instance<B>[] = []
  readonly #live = new Set<Instance<B>>()
  #waking = 0
  #idle = 0

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  get size(): number {
    return this.#live.size
  }

  /** Those that no call uses, paused ones too. */
  get idle(): number {
    return this.#idle
  }

  get waking(): number {
    return this.#waking
  }

  get hasFree(): boolean {
    return this.#free.length > 0
  }

  [Symbol.iterator](): Iterator<Instance<B>> {
    return this.#live.values()
  }

  has(instance: Instance<B>): boolean {
    return this.#live.has(instance)
  }

  /** A container that is ready. */
  add(instance: Instance<B>, now: number): void {
    this.#live.add(instance)
    this.#free.push(instance)
    this.#idle++
    instance.idleSince = now
  }

  /** One that has a free slot, to run one call more. */
  take(): Instance<B> {
    const instance = this.#free.at(-1) as Instance<B>
    if (instance.running === 0) this.#idle--
    if (++instance.running === this.#concurrency) this.#free.pop()
    return instance
  }

  /** A call in it is over; also of one that has been removed meanwhile. `again`: it may take another one. */
  give(instance: Instance<B>, now: number, again: boolean): void {
    const wasFull = instance.running-- === this.#concurrency
    if (!this.#live.has(instance)) return
    if (!again) remove(this.#free, instance)
    else if (wasFull) this.#free.push(instance)
    if (instance.running > 0) return
    this.#idle++
    instance.idleSince = now
  }

  /** Returns false when it is not there any more. */
  remove(instance: Instance<B>): boolean {
    if (!this.#live.delete(instance)) return false
    if (instance.state === 'waking') this.#waking--
    instance.state = 'ending'
    remove(this.#free, instance)
    remove(this.#paused, instance)
    if (instance.running === 0) this.#idle--
    return true
  }

  /** The longest idle first. */
  idleOnes(): Instance<B>[] {
    return [...this.#paused, ...this.#free]
      .filter((instance) => instance.running === 0)
      .sort((a, b) => a.idleSince - b.idleSince)
  }

  /** Takes an idle one out of use, until it is paused and woken again. */
  rest(instance: Instance<B>): void {
    remove(this.#free, instance)
    this.#paused.push(instance)
    instance.state = 'pausing'
  }

  /** The paused one to wake next, now waking; `undefined` when none is wholly paused. */
  wake(now: number): Instance<B> | undefined {
    const at = this.#paused.findLastIndex(({ state }) => state === 'paused')
    const [instance] = at < 0 ? [] : this.#paused.splice(at, 1)
    if (!instance) return undefined
    this.#waking++
    instance.state = 'waking'
    instance.birth = { began: now, fetched: now, ready: now }
    return instance
  }

  /** It is awake again: the next call has waited for that. */
  woken(instance: Instance<B>, now: number): void {
    this.#waking--
    instance.state = 'awake'
    const began = instance.birth?.began ?? now
    instance.birth = { began, fetched: began, ready: now }
    this.#free.push(instance)
  }
}

function remove<T>(list: T[], item: T): void {
  const at = list.lastIndexOf(item)
  if (at >= 0) list.splice(at, 1)
}
