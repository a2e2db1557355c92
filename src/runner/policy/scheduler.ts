import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { formatDuration } from '../../core/units.ts'
import { Alarm } from './alarm.ts'
import { Budget } from './budget.ts'
import type { Counts, Slot, Ticket, Waiter } from './call.ts'
import { Gate } from './gate.ts'
import { Instance } from './instance.ts'
import { decideStart, predictWait } from './launch.ts'
import { Average, Pasts } from './past.ts'
import { Pool, type PoolHands } from './pool.ts'
import type { PauseRule } from './rest.ts'
import { Room } from './room.ts'
import { Start } from './start.ts'
import type { Birth } from './wait.ts'
import type { Resources, Workload } from './workload.ts'

/**
 * Who carries out what a {@link Scheduler} decides: the runner with real containers, the simulator with virtual ones.
 * Each order is answered once, at once or later, by the method of the scheduler that is named here.
 */
export interface Hands<D extends Workload, B> {
  /** → `ready` or `failed` */
  start(start: Start<D, B>): void
  /** → `ended` */
  stop(instance: Instance<B>): void
  /** → `paused`, or `lost` when it cannot be */
  pause(instance: Instance<B>): void
  /** → `woken`, or `lost` when it cannot be */
  wake(instance: Instance<B>): void
}

export interface SchedulerOptions {
  readonly clock: Clock
  /** What all containers together may take. */
  readonly total: Resources
  /** Starts in flight; more only slow each other down. @default 2 */
  readonly maxStarts?: number
  /** Calls that may wait here; more are refused at once. @default 10000 */
  readonly maxWaiting?: number
  /** When idle containers are paused. @default 'adaptive' */
  readonly pause?: PauseRule
  /** `per-call`: one container for every waiting call, as today's Fn does; for comparison. @default 'expected' */
  readonly launch?: 'expected' | 'per-call'
}

/** A start is expected to take this long (ms) before any has been seen. */
const START = 500
/** A function without a container that has waited for room this long (ms) is overtaken no more, and gets the next one. */
const PATIENCE = 1_000
const SWEEP = 250
/** Who waits for room is looked at again after so long (ms). */
const LOOK_AGAIN = 250

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
  readonly #poolHands: PoolHands<D, B>
  readonly #budget: Budget
  readonly #room: Room<D, B>
  readonly #pools = new Map<string, Pool<D, B>>()
  /** Pools of functions that changed, until nothing of them is left. */
  readonly #retired = new Set<Pool<D, B>>()
  /** Pools with calls that wait. */
  readonly #hungry = new Set<Pool<D, B>>()
  /** Pools that may want containers ahead of calls. */
  readonly #eager = new Set<Pool<D, B>>()
  readonly #owners = new Map<Instance<B>, Pool<D, B>>()
  readonly #pasts = new Pasts()
  readonly #counts: Counts = { running: 0, waiting: 0 }
  readonly #gate: Gate<D, B>
  /** When to look again although nothing happened. */
  readonly #alarm: Alarm
  readonly #maxWaiting: number
  readonly #pause: PauseRule
  readonly #perCall: boolean
  /** Of all functions; `undefined` before the first. */
  readonly #starts = new Average()
  #feeding = false
  #hungerChanged = false
  #sweep: Disposable | undefined
  #closed: SluiceError | undefined

  constructor(options: SchedulerOptions, hands: Hands<D, B>) {
    this.counts = this.#counts
    this.#clock = options.clock
    this.#hands = hands
    this.#budget = new Budget(options.total)
    this.#room = new Room(this.#budget, this.#clock, () => this.#starts.value ?? START, PATIENCE)
    this.#gate = new Gate(this.#clock, options.maxStarts ?? 2, () => this.#feed())
    this.#alarm = new Alarm(this.#clock, () => this.#feed())
    this.#maxWaiting = options.maxWaiting ?? 10_000
    this.#pause = options.pause ?? 'adaptive'
    this.#perCall = options.launch === 'per-call'
    this.#poolHands = {
      changed: (pool) => this.#changed(pool),
      claimed: (pool, instance) => this.#room.claimed(pool, instance),
      stop: (instance) => this.#stop(instance),
      pause: (instance) => hands.pause(instance),
      wake: (instance) => hands.wake(instance),
    }
  }

  get startsInFlight(): number {
    return this.#gate.inFlight
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
    return this.#predict(this.#poolOf(workload))
  }

  /** Starts up to `count` containers ahead of calls, as far as there is room without evicting anybody. */
  prewarm(workload: D, count: number): void {
    const pool = this.#poolOf(workload)
    pool.ahead = Math.max(pool.ahead, count - pool.idle - pool.starts.size)
    this.#changed(pool)
  }

  ready(start: Start<D, B>, body: B, birth: Birth): Instance<B> {
    const instance = new Instance(body, birth)
    this.#owners.set(instance, start.pool)
    this.#gate.leave(start)
    this.#starts.add(this.#clock.now() - start.began)
    start.pool.started(start, instance)
    return instance
  }

  failed(start: Start<D, B>, error: SluiceError): void {
    this.tally.startsFailed++
    this.#room.give(start.pool)
    this.#gate.leave(start)
    start.pool.failed(start, error)
  }

  /** Nothing of a container is left running, whoever ended it. */
  ended(instance: Instance<B>): void {
    const pool = this.#owners.get(instance)
    if (!pool) return
    this.#owners.delete(instance)
    if (instance.state === 'ending') this.#room.returned(pool)
    else {
      this.#room.returning(pool)
      pool.discard(instance)
      this.#room.returned(pool)
    }
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
    this.#sweep?.[Symbol.dispose]()
    this.#alarm[Symbol.dispose]()
    for (const pool of [...this.#pools.values(), ...this.#retired]) pool.close(error)
  }

  #poolOf(workload: D): Pool<D, B> {
    const known = this.#pools.get(workload.key)
    if (known?.workload === workload || known?.workload.version === workload.version) return known
    if (known) this.#retire(known)
    const pool = new Pool<D, B>(
      workload,
      this.#pasts.of(workload.key),
      this.#clock,
      this.#poolHands,
      this.#counts,
    )
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

  #refusal(pool: Pool<D, B>, waiter: Waiter<D, B>): SluiceError | undefined {
    const { workload } = pool
    if (!this.#budget.couldFit(workload.need)) return this.#room.tooBig(workload)
    if (this.#counts.waiting >= this.#maxWaiting) {
      return new SluiceError('refused', undefined, {
        detail: `the queue is full: ${this.#maxWaiting} calls wait on this node`,
        retryAfter: this.#predict(pool),
      })
    }
    const hopeless = pool.hopeless
    if (hopeless) return hopeless
    const now = this.#clock.now()
    const left = Math.min(workload.maxWait - (now - waiter.arrived), (waiter.deadline ?? Infinity) - now)
    const predicted = this.#predict(pool)
    if (predicted === undefined || predicted <= left) return undefined
    return new SluiceError('refused', undefined, {
      detail: `it would wait ${formatDuration(predicted)}, and may wait ${formatDuration(Math.max(0, left))}`,
      retryAfter: predicted,
    })
  }

  #predict(pool: Pool<D, B>): number | undefined {
    if (pool.idle > pool.waiting) return 0
    if (this.#starts.value === undefined) return undefined
    const demand = pool.demand(this.#startOf(pool) * this.#gate.rounds)
    return predictWait(demand, this.#room.couldTake(pool, this.#pools.values()))
  }

  #startOf(pool: Pool<D, B>): number {
    return pool.past.start.value ?? this.#starts.value ?? START
  }

  #stop(instance: Instance<B>): void {
    const pool = this.#owners.get(instance)
    if (!pool) return
    this.#room.returning(pool)
    this.#hands.stop(instance)
  }

  #changed(pool: Pool<D, B>): void {
    if (pool.waiting > 0) this.#hungry.add(pool)
    else if (this.#hungry.delete(pool)) this.#room.satisfied(pool)
    if (pool.wantedAhead > 0) this.#eager.add(pool)
    else this.#eager.delete(pool)
    if (this.#hungry.size + this.#eager.size > 0) this.#feed()
    if (pool.retired && pool.empty) this.#retired.delete(pool)
    if ((pool.idle > 0 || pool.empty || pool.failures > 0) && !this.#sweep && !this.#closed) this.#armSweep()
  }

  /** Starts what the gate and the room allow. What happens meanwhile is seen in another round. */
  #feed(): void {
    this.#hungerChanged = true
    if (this.#feeding) return
    this.#feeding = true
    try {
      while (this.#hungerChanged && !this.#closed) {
        this.#hungerChanged = false
        this.#startOne()
      }
    } finally {
      this.#feeding = false
    }
  }

  #startOne(): void {
    if (this.#gate.isFull) return
    const { wanting, again } = this.#wanting()
    this.#alarm.in(again)
    for (const pool of this.#room.order(wanting)) {
      const found = this.#room.make(pool, this.#pools.values(), (instance, victim) => {
        this.tally.evictions++
        victim.evict(instance, pool.workload.key)
      })
      if (found === 'room') {
        this.#launch(pool, false)
        this.#hungerChanged = true
        return
      }
      // Patience ends and idle containers fall out of their rhythm without anything happening.
      this.#alarm.in(LOOK_AGAIN)
      // Nobody overtakes who gets what comes back, nor who has waited long; else the small pass the large.
      if (found === 'coming' || this.#room.isImpatient(pool)) return
    }
    if (wanting.length === 0) this.#startAhead()
  }

  /** The pools that want a container now, and when to ask the others again although nothing happened (ms). */
  #wanting(): { wanting: Pool<D, B>[]; again: number } {
    const wanting: Pool<D, B>[] = []
    let again = Infinity
    for (const pool of this.#hungry) {
      const held = pool.backsOffFor
      const verdict = held > 0 ? held : this.#wants(pool)
      if (verdict === 'now') wanting.push(pool)
      else if (verdict !== undefined) again = Math.min(again, verdict)
    }
    return { wanting, again }
  }

  #wants(pool: Pool<D, B>): 'now' | number | undefined {
    const demand = pool.demand(this.#startOf(pool))
    if (this.#perCall || pool.workload.once) return demand.waiting > demand.coming ? 'now' : undefined
    return decideStart(demand)
  }

  #startAhead(): void {
    for (const pool of this.#eager) {
      if (pool.wantedAhead <= 0) this.#eager.delete(pool)
      else if (pool.backsOffFor > 0) this.#alarm.in(pool.backsOffFor)
      else if (this.#budget.fits(pool.workload.need)) {
        this.#launch(pool, true)
        this.#hungerChanged = true
        return
      } else pool.ahead = 0 // An order is for the room there is; what is to be kept warm waits for more.
    }
  }

  #launch(pool: Pool<D, B>, ahead: boolean): void {
    const ticket = pool.workload.once ? pool.unbound() : undefined
    const start = new Start(pool, this.#clock.now(), this.#why(pool, ahead), ticket)
    if (ticket) ticket.start = start
    if (pool.ahead > 0) pool.ahead--
    this.tally.starts++
    this.#room.take(pool)
    pool.starts.add(start)
    this.#gate.enter(start, this.#startOf(pool))
    this.#hands.start(start)
  }

  #why(pool: Pool<D, B>, ahead: boolean): Pick<Start<D, B>, 'reason' | 'evictedFor'> {
    const of = (reason: Start<D, B>['reason'], evictedFor?: string) => ({ reason, evictedFor })
    if (ahead) return of(pool.ahead > 0 ? 'prewarm' : 'min-warm')
    if (pool.workload.once) return of('one-call')
    if (pool.live + pool.starts.size > 0) return of('scale-out')
    return of(pool.past.lost?.reason ?? 'first', pool.past.lost?.evictedFor)
  }

  /** One timer for all pools, while any has something to let go of. */
  #armSweep(): void {
    this.#sweep = this.#clock.after(SWEEP, () => {
      this.#sweep = undefined
      let again = false
      for (const [key, pool] of this.#pools) {
        if (pool.idle > 0) pool.sweep(this.#pause)
        if (pool.empty) this.#pools.delete(key)
        again ||= pool.idle > 0 || pool.failures > 0
      }
      if (again && !this.#closed) this.#armSweep()
    })
  }
}
