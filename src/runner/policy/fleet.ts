import type { Clock } from '../../core/clock.ts'
import type { Instance } from './instance.ts'
import { Instances } from './instances.ts'
import { Line } from './line.ts'
import type { Loss, Past } from './past.ts'
import { type PauseRule, pauseAfter } from './rest.ts'
import type { Start } from './start.ts'
import type { Workload } from './workload.ts'

/** What a fleet has done by others. */
export interface FleetHands<B> {
  /** Others than before of its containers are idle. */
  idled(): void
  stop(instance: Instance<B>): void
  pause(instance: Instance<B>): void
  wake(instance: Instance<B>): void
}

/** The containers of one function as it is defined now: on their way, live, idle, let go of. */
export class Fleet<D extends Workload, B> {
  /** Those that take room: on their way, live, ending. */
  held = 0
  /** Ordered ahead of any call, still to be started. */
  ahead = 0
  /** Its function was changed or removed. */
  retired = false
  readonly instances: Instances<B>
  readonly #workload: D
  readonly #past: Past
  readonly #clock: Clock
  readonly #hands: FleetHands<B>
  readonly #starts = new Line<Start<D, B>>()
  #abandoned = 0

  constructor(workload: D, past: Past, clock: Clock, hands: FleetHands<B>) {
    this.#workload = workload
    this.#past = past
    this.#clock = clock
    this.#hands = hands
    this.instances = new Instances(workload.concurrency)
  }

  /** On their way. */
  get starting(): number {
    return this.#starts.size
  }

  /** Live, or on their way. */
  get size(): number {
    return this.instances.size + this.#starts.size
  }

  /** Idle ones that are not to be kept warm. */
  get spare(): number {
    const { size, idle, waking } = this.instances
    return this.retired ? 0 : Math.max(0, Math.min(idle - waking, size - this.#workload.minWarm))
  }

  /** To be kept ready whether anybody calls or not. */
  get wantedWarm(): number {
    return this.retired ? 0 : this.#workload.minWarm
  }

  /** To start ahead of calls: those ordered, and those to be kept warm. */
  get wantedAhead(): number {
    return Math.max(this.ahead, this.wantedWarm - this.size)
  }

  /** That start or wake and that a call may count on; an abandoned one serves nobody. */
  get coming(): number {
    return this.#starts.size - (this.#workload.once ? this.#abandoned : 0) + this.instances.waking
  }

  /** When the next of those is expected, in milliseconds. @param start expected milliseconds of a whole start */
  nextReady(start: number): number {
    const { first } = this.#starts
    if (this.instances.waking > 0 || !first) return 0
    return Math.max(0, start - (this.#clock.now() - first.began))
  }

  begin(start: Start<D, B>): void {
    start.place = this.#starts.join(start)
    if (this.ahead > 0) this.ahead--
  }

  /** Nobody needs it any more. */
  abandon(start: Start<D, B>): void {
    if (!start.abandoned) this.#abandoned++
    start.abandon()
  }

  /** A start is over, well or not. */
  arrive(start: Start<D, B>): void {
    this.#starts.leave(start.place)
    if (start.abandoned) this.#abandoned--
  }

  /** Wakes as many as `calls` need. */
  wakeFor(calls: number): void {
    while (this.instances.waking * this.#workload.concurrency < calls) {
      const instance = this.instances.wake(this.#clock.now())
      if (!instance) return
      this.#hands.wake(instance)
    }
  }

  /** Lets go of a container, once; what was its last says why the next start will be needed. */
  let(instance: Instance<B>, reason: Loss['reason'], evictedFor?: string): void {
    if (!this.instances.remove(instance)) return
    if (this.instances.size === 0)
      this.#past.lost = {
        reason: this.retired ? 'deploy' : reason,
        at: this.#clock.now(),
        ...(evictedFor !== undefined && { evictedFor }),
      }
    this.#hands.idled()
    this.#hands.stop(instance)
  }

  /** Lets go of every idle one. */
  letIdle(): void {
    for (const instance of [...this.instances.idleOnes]) this.let(instance, 'deploy')
  }

  close(): void {
    for (const start of this.#starts) this.abandon(start)
    for (const instance of [...this.instances]) this.let(instance, 'idle')
  }

  /**
   * Pauses and stops what has been idle long enough, and notes what has fallen silent.
   * @param mayPause nobody waits who would need them
   * @returns when there is more to do (ms of the clock), if nothing happens meanwhile
   */
  sweep(rule: PauseRule, mayPause: boolean): number {
    const now = this.#clock.now()
    const { quiet, rest } = this.#times(rule)
    const { idleTimeout } = this.#workload
    let next = Infinity
    for (const instance of this.instances.idleOnes) {
      const { idleSince } = instance
      const maySpare = this.instances.size > this.wantedWarm
      if (maySpare && now - idleSince >= idleTimeout) {
        this.let(instance, 'idle')
        continue
      }
      if (now - idleSince >= quiet) this.instances.hush(instance)
      if (instance.state === 'awake' && now - idleSince >= rest && mayPause) {
        this.instances.rest(instance)
        this.#hands.pause(instance)
      }
      if (!instance.silent) next = Math.min(next, idleSince + quiet)
      if (instance.state === 'awake') next = Math.min(next, Math.max(now, idleSince + rest))
      if (maySpare) next = Math.min(next, idleSince + idleTimeout)
      if (now - idleSince < Math.min(quiet, rest)) break // the others are younger
    }
    this.#hands.idled()
    return next
  }

  /** Milliseconds of idleness before which {@link sweep} has nothing to do with a container. */
  restsAfter(rule: PauseRule): number {
    const { quiet, rest } = this.#times(rule)
    return Math.min(quiet, rest, this.#workload.idleTimeout)
  }

  #times(rule: PauseRule): { readonly quiet: number; readonly rest: number } {
    const gap = this.#past.gap.value
    return { quiet: pauseAfter('adaptive', gap), rest: pauseAfter(rule, gap) }
  }
}
