import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { formatDuration } from '../../core/units.ts'
import { Budget } from './budget.ts'
import type { Counts, Slot, Ticket, Waiter } from './call.ts'
import type { Hands } from './hands.ts'
import { Instance } from './instance.ts'
import { Launcher } from './launcher.ts'
import type { SchedulerOptions } from './options.ts'
import { Pasts } from './past.ts'
import { Pool, type PoolContext } from './pool.ts'
import type { PauseRule } from './rest.ts'
import type { Start } from './start.ts'
import { Sweeper } from './sweeper.ts'
import type { Birth } from './wait.ts'
import type { Resources, Workload } from './workload.ts'

/** What a scheduler has seen since it began. */
export interface Tally {
  starts: number
  startsFailed: number
  evictions: number
  refused: number
}

/**
 * Decides for all functions of a node which call runs in which container, when containers start, pause, wake and
 * stop, and for whom; it does none of it. Single-threaded, and deterministic for one sequence of events.
 */
export class Scheduler<D extends Workload, B> {
  /** Calls that run and that wait now. */
  readonly counts: Readonly<Counts>
  readonly tally: Tally = { starts: 0, startsFailed: 0, evictions: 0, refused: 0 }
  readonly #clock: Clock
  readonly #hands: Hands<D, B>
  readonly #context: PoolContext<D, B>
  readonly #budget: Budget
  readonly #launcher: Launcher<D, B>
  readonly #sweeper: Sweeper<Pool<D, B>>
  readonly #pools = new Map<string, Pool<D, B>>()
  /** Pools of functions that changed, until nothing of them is left. */
  readonly #retired = new Set<Pool<D, B>>()
  readonly #starts = new Map<Start<D, B>, Pool<D, B>>()
  readonly #owners = new Map<Instance<B>, Pool<D, B>>()
  readonly #pasts = new Pasts()
  readonly #counts: Counts = { running: 0, waiting: 0 }
  readonly #maxWaiting: number
  readonly #pause: PauseRule
  #closed: SluiceError | undefined

  constructor(options: SchedulerOptions, hands: Hands<D, B>) {
    const { clock, maxStarts = 2, work = { steps: 0 } } = options
    this.counts = this.#counts
    this.#clock = clock
    this.#hands = hands
    this.#budget = new Budget(options.total)
    this.#maxWaiting = options.maxWaiting ?? 10_000
    this.#pause = options.pause ?? 'adaptive'
    this.#launcher = new Launcher({
      clock,
      budget: this.#budget,
      maxStarts,
      perCall: options.launch === 'per-call',
      work,
      start: (start, pool) => this.#start(start, pool),
      evict: (instance, victim, pool) => {
        this.tally.evictions++
        victim.evict(instance, pool.workload.key)
      },
    })
    this.#sweeper = new Sweeper(clock, (pool) => this.#sweep(pool), work)
    const { room } = this.#launcher
    this.#context = {
      clock,
      counts: this.#counts,
      hands: {
        changed: (pool) => this.#changed(pool),
        idled: (pool) => room.spares.update(pool),
        claimed: (pool, instance) => room.claimed(pool, instance),
        stop: (instance) => this.#stop(instance),
        pause: (instance) => hands.pause(instance),
        wake: (instance) => hands.wake(instance),
      },
    }
  }

  get startsInFlight(): number {
    return this.#launcher.inFlight
  }

  get used(): Resources {
    return this.#budget.used
  }

  get total(): Resources {
    return this.#budget.total
  }

  /** The pools of the functions that are known here as they are defined now. */
  pools(): Iterable<Pool<D, B>> {
    return this.#pools.values()
  }

  /** The pool of a function, when it has one. */
  pool(key: string): Pool<D, B> | undefined {
    return this.#pools.get(key)
  }

  /** A slot that is free now, or `undefined`: never starts a container and never waits. */
  tryAcquire(workload: D, arrived: number): Slot<D, B> | undefined {
    return this.#poolOf(workload).tryAcquire(arrived)
  }

  /**
   * Queues a call, unless it would wait in vain: then it is refused at once. Returns its ticket for {@link leave},
   * or `undefined` when it was refused.
   */
  enqueue(workload: D, waiter: Waiter<D, B>): Ticket<D, B> | undefined {
    const pool = this.#poolOf(workload)
    const refusal = this.#closed ?? this.#refusal(pool, waiter)
    if (refusal) {
      this.tally.refused++
      waiter.refused(refusal)
      return undefined
    }
    return pool.enqueue(waiter)
  }

  /** Why a call that came now would be refused, if it would. */
  refusal(workload: D, waiter: Pick<Waiter<D, B>, 'arrived' | 'deadline'>): SluiceError | undefined {
    return this.#closed ?? this.#refusal(this.#poolOf(workload), waiter)
  }

  /** The caller of a call that waits has gone; nothing is told to its waiter. */
  leave(ticket: Ticket<D, B>): void {
    ticket.pool.leave(ticket)
  }

  /** Gives a slot back. `keep` = the container may serve again; `ran` = a call used it. */
  release(slot: Slot<D, B>, keep: boolean, ran = true): void {
    slot.pool.release(slot, keep, ran)
  }

  /** Milliseconds that a call of this function which comes now has to wait; `undefined` when nothing is known. */
  predict(workload: D): number | undefined {
    return this.#launcher.predict(this.#poolOf(workload))
  }

  /** Starts up to `count` containers ahead of calls, as far as there is room without evicting anybody. */
  prewarm(workload: D, count: number): void {
    const pool = this.#poolOf(workload)
    pool.fleet.ahead = Math.max(pool.fleet.ahead, count - pool.idle - pool.fleet.starting)
    this.#changed(pool)
  }

  ready(start: Start<D, B>, body: B, birth: Birth): Instance<B> {
    const instance = new Instance(body, birth)
    const pool = this.#arrived(start)
    this.#owners.set(instance, pool)
    this.#launcher.learn(this.#clock.now() - start.began)
    pool.started(start, instance)
    this.#launcher.over(start)
    return instance
  }

  failed(start: Start<D, B>, error: SluiceError): void {
    this.tally.startsFailed++
    const pool = this.#arrived(start)
    this.#launcher.give(pool)
    pool.failed(start, error)
    this.#launcher.over(start)
  }

  /** Nothing of a container is left running, whoever ended it. */
  ended(instance: Instance<B>): void {
    const pool = this.#owners.get(instance)
    if (!pool) return
    this.#owners.delete(instance)
    if (instance.state !== 'ending') {
      this.#launcher.room.returning(pool)
      pool.discard(instance)
    }
    instance.undergo('ended')
    this.#launcher.returned(pool)
    this.#changed(pool)
  }

  paused(instance: Instance<B>): void {
    this.#owners.get(instance)?.paused(instance)
  }

  woken(instance: Instance<B>): void {
    this.#owners.get(instance)?.woken(instance)
  }

  /** A container that could not be paused or woken is let go. */
  lost(instance: Instance<B>): void {
    const pool = this.#owners.get(instance)
    if (!pool) return
    pool.discard(instance)
    this.#changed(pool)
  }

  /** Lets go of the containers of a definition that is not in force any more; calls that wait for them are served. */
  retire(workload: D): void {
    const pool = this.#pools.get(workload.key)
    if (pool?.workload.version === workload.version) this.#retire(pool)
  }

  /** Refuses what waits and what comes with `error`, abandons what starts, stops every container. */
  close(error: SluiceError): void {
    this.#closed = error
    this.#sweeper[Symbol.dispose]()
    this.#launcher[Symbol.dispose]()
    for (const pool of [...this.#pools.values(), ...this.#retired]) pool.close(error)
  }

  #poolOf(workload: D): Pool<D, B> {
    const known = this.#pools.get(workload.key)
    if (known?.workload === workload || known?.workload.version === workload.version) return known
    if (known) this.#retire(known)
    const past = this.#pasts.of(workload.key)
    const pool = new Pool(workload, past, this.#launcher.room.open(workload.owner), this.#context)
    this.#pools.set(workload.key, pool)
    return pool
  }

  #retire(pool: Pool<D, B>): void {
    this.#pools.delete(pool.workload.key)
    this.#retired.add(pool)
    if (pool.live > 0) pool.past.lost = { reason: 'deploy', at: this.#clock.now() }
    pool.retire()
    this.#changed(pool)
  }

  #refusal(pool: Pool<D, B>, waiter: Pick<Waiter<D, B>, 'arrived' | 'deadline'>): SluiceError | undefined {
    const { workload } = pool
    if (!this.#budget.couldFit(workload.need)) return this.#launcher.room.tooBig(workload)
    if (this.#counts.waiting >= this.#maxWaiting) {
      return new SluiceError('refused', undefined, {
        detail: `the queue is full: ${this.#maxWaiting} calls wait on this node`,
        retryAfter: this.#launcher.predict(pool),
      })
    }
    const hopeless = pool.hopeless
    if (hopeless) return hopeless
    const now = this.#clock.now()
    const left = Math.min(workload.maxWait - (now - waiter.arrived), (waiter.deadline ?? Infinity) - now)
    const predicted = this.#launcher.predict(pool)
    if (predicted === undefined || predicted <= left) return undefined
    return new SluiceError('refused', undefined, {
      detail: `it would wait ${formatDuration(predicted)}, and may wait ${formatDuration(Math.max(0, left))}`,
      retryAfter: predicted,
    })
  }

  #start(start: Start<D, B>, pool: Pool<D, B>): void {
    this.tally.starts++
    this.#starts.set(start, pool)
    this.#hands.start(start)
  }

  /** @throws Error when it is no start of this scheduler, or was answered before */
  #arrived(start: Start<D, B>): Pool<D, B> {
    const pool = this.#starts.get(start)
    if (!pool) throw new Error('a start was answered twice')
    this.#starts.delete(start)
    return pool
  }

  #stop(instance: Instance<B>): void {
    const pool = this.#owners.get(instance)
    if (!pool) return
    this.#launcher.room.returning(pool)
    this.#hands.stop(instance)
  }

  #changed(pool: Pool<D, B>): void {
    this.#launcher.room.spares.update(pool)
    this.#launcher.changed(pool)
    if (this.#closed) return
    const now = this.#clock.now()
    if (pool.idle > 0) this.#sweeper.by(pool, now + pool.fleet.restsAfter(this.#pause))
    if (pool.empty) this.#sweeper.by(pool, now)
    else if (pool.failures.count > 0) this.#sweeper.by(pool, pool.failures.forgottenAt)
  }

  #sweep(pool: Pool<D, B>): number {
    const next = pool.sweep(this.#pause)
    if (pool.empty) this.#forget(pool)
    return pool.failures.areRemembered ? Math.min(next, pool.failures.forgottenAt) : next
  }

  #forget(pool: Pool<D, B>): void {
    const { key } = pool.workload
    if (this.#pools.get(key) === pool) this.#pools.delete(key)
    else if (!this.#retired.delete(pool)) return
    this.#launcher.room.leave(pool.account)
  }
}
