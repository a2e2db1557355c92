import type { Instance } from './instance.ts'
import { Line } from './line.ts'

/** The live containers of one function: used last in, first out, so that surplus ones grow old and go. */
export class Instances<B> {
  readonly #concurrency: number
  readonly #live = new Set<Instance<B>>()
  /** Awake, with a free slot, the most recently used last. */
  readonly #free = new Line<Instance<B>>()
  /** Wholly paused, the most recently used last. */
  readonly #paused = new Line<Instance<B>>()
  /** That no call uses and none wakes, the longest idle first. */
  readonly #idle = new Line<Instance<B>>()
  #silent = 0
  #waking = 0

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  get size(): number {
    return this.#live.size
  }

  /** Those that no call uses, paused and waking ones too. */
  get idle(): number {
    return this.#idle.size + this.#waking
  }

  /** Those of the idle that have fallen out of their function's rhythm: the longest idle. */
  get silent(): number {
    return this.#silent
  }

  get waking(): number {
    return this.#waking
  }

  get hasFree(): boolean {
    return this.#free.size > 0
  }

  get longestIdle(): Instance<B> | undefined {
    return this.#idle.first
  }

  /** The idle ones that may be let go of, the longest idle first. */
  get idleOnes(): Iterable<Instance<B>> {
    return this.#idle
  }

  [Symbol.iterator](): Iterator<Instance<B>> {
    return this.#live.values()
  }

  /** A container that is ready. */
  add(instance: Instance<B>, now: number): void {
    this.#live.add(instance)
    this.#open(instance)
    this.#rests(instance, now)
  }

  /** One that has a free slot, to run one call more. */
  take(): Instance<B> {
    const instance = this.#free.last as Instance<B>
    if (instance.running === 0) this.#works(instance)
    if (++instance.running === this.#concurrency) this.#free.leave(instance.usable)
    return instance
  }

  /** A call in it is over; also of one that has been removed meanwhile. `again`: it may take another one. */
  give(instance: Instance<B>, now: number, again: boolean): void {
    const wasFull = instance.running-- === this.#concurrency
    if (!this.#live.has(instance)) return
    if (!again) this.#free.leave(instance.usable)
    else if (wasFull) this.#open(instance)
    if (instance.running === 0) this.#rests(instance, now)
  }

  /** Returns false when it is not there any more. */
  remove(instance: Instance<B>): boolean {
    if (!this.#live.delete(instance)) return false
    if (instance.state === 'waking') this.#waking--
    if (instance.state === 'paused') this.#paused.leave(instance.usable)
    else this.#free.leave(instance.usable)
    if (instance.running === 0) this.#works(instance)
    instance.undergo('let')
    return true
  }

  /** Its function has fallen silent. */
  hush(instance: Instance<B>): void {
    if (!instance.silent) this.#silent++
    instance.silent = true
  }

  /** Takes an idle one out of use, until it is paused and woken again. */
  rest(instance: Instance<B>): void {
    instance.undergo('rest')
    this.#free.leave(instance.usable)
  }

  /** Returns false when it has been removed meanwhile. */
  paused(instance: Instance<B>): boolean {
    if (!instance.undergo('paused')) return false
    instance.usable = this.#paused.join(instance)
    return true
  }

  /** The paused one to wake next, now waking; `undefined` when none is wholly paused. */
  wake(now: number): Instance<B> | undefined {
    const instance = this.#paused.last
    if (!instance) return undefined
    this.#paused.leave(instance.usable)
    this.#works(instance)
    this.#waking++
    instance.undergo('wake')
    instance.birth = { began: now, fetched: now, ready: now }
    return instance
  }

  /** It is awake again: the next call has waited for that. Returns false when it has been removed meanwhile. */
  woken(instance: Instance<B>, now: number): boolean {
    if (!instance.undergo('woken')) return false
    this.#waking--
    const began = instance.birth?.began ?? now
    instance.birth = { began, fetched: began, ready: now }
    this.#open(instance)
    this.#rests(instance, instance.idleSince)
    return true
  }

  #open(instance: Instance<B>): void {
    instance.usable = this.#free.join(instance)
  }

  #rests(instance: Instance<B>, since: number): void {
    instance.idle = this.#idle.join(instance)
    instance.idleSince = since
  }

  #works(instance: Instance<B>): void {
    this.#idle.leave(instance.idle)
    if (instance.silent) this.#silent--
    instance.silent = false
  }
}
