import type { Clock } from '../../core/clock.ts'
import { Alarm } from './alarm.ts'
import type { Budget } from './budget.ts'
import { NOTHING_MORE, predictWait } from './forecast.ts'
import { Gate } from './gate.ts'
import { Hunger, type Verdict } from './hunger.ts'
import type { Instance } from './instance.ts'
import { decideStart } from './launch.ts'
import { Average } from './past.ts'
import type { Pool } from './pool.ts'
import { Room } from './room.ts'
import { Start } from './start.ts'
import type { Work } from './work.ts'
import type { Workload } from './workload.ts'

/** A start is expected to take this long (ms) before any has been seen. */
const START = 500
/** A function without a container that has waited for room this long (ms) is overtaken no more, and gets the next one. */
const PATIENCE = 1_000
/** Who waits for room is looked at again after so long (ms). */
const LOOK_AGAIN = 250
/** Functions that are looked at, at a time, when those who come first find no room: the small pass the large. */
const LOOKS = 16

export interface LauncherOptions<D extends Workload, B> {
  readonly clock: Clock
  readonly budget: Budget
  readonly maxStarts: number
  readonly perCall: boolean
  readonly work: Work
  /** Carries out a start. */
  readonly start: (start: Start<D, B>, pool: Pool<D, B>) => void
  /** An idle container of `victim` goes, for `pool`. */
  readonly evict: (instance: Instance<B>, victim: Pool<D, B>, pool: Pool<D, B>) => void
}

/** Decides when another container is started, of which function, and who makes room for it. */
export class Launcher<D extends Workload, B> implements Disposable {
  readonly room: Room<D, B>
  readonly #options: LauncherOptions<D, B>
  readonly #hunger: Hunger<D, B>
  readonly #gate: Gate<D, B>
  /** When to look again although nothing happened. */
  readonly #alarm: Alarm
  /** Of all functions; `undefined` before the first. */
  readonly #starts = new Average()
  #feeding = false
  #changed = false
  #closed = false

  constructor(options: LauncherOptions<D, B>) {
    const { budget, clock, maxStarts, work } = options
    this.#options = options
    this.#hunger = new Hunger(
      clock,
      (pool) => this.#wants(pool),
      (pool) => this.room.shareOf(pool),
      work,
    )
    this.room = new Room({
      budget,
      clock,
      expectedStart: () => this.#starts.value ?? START,
      patience: PATIENCE,
      wantsSince: (pool) => this.#hunger.wantsSince(pool),
      work,
    })
    this.#gate = new Gate(clock, maxStarts, () => this.#feed())
    this.#alarm = new Alarm(clock, () => {
      this.#hunger.askDue()
      this.#feed()
    })
  }

  get inFlight(): number {
    return this.#gate.inFlight
  }

  /** Something of a pool has changed; what that allows is started at once. */
  changed(pool: Pool<D, B>): void {
    this.#hunger.update(pool)
    if (pool.waiting === 0) this.room.satisfied(pool)
    if (!this.#hunger.isEmpty) this.#feed()
  }

  /** A start is over. */
  over(start: Start<D, B>): void {
    this.#gate.leave(start)
  }

  /** A start has taken so long (ms) to become ready. */
  learn(ms: number): void {
    this.#starts.add(ms)
  }

  /** A container of a pool came to nothing; its room is free again. */
  give(pool: Pool<D, B>): void {
    this.room.give(pool)
    this.#hunger.rerank(pool)
  }

  /** Nothing of a container is left that was being stopped. */
  returned(pool: Pool<D, B>): void {
    this.room.returned(pool)
    this.#hunger.rerank(pool)
  }

  /** Milliseconds that a call of this function which comes now has to wait; `undefined` when nothing is known. */
  predict(pool: Pool<D, B>): number | undefined {
    if (pool.hasIdleToSpare) return 0
    if (this.#starts.value === undefined) return undefined
    const containers = this.room.couldTake(pool)
    const start = this.#startOf(pool)
    return predictWait(
      pool.demand(start),
      containers > 0 ? { containers, readyIn: (count) => start * this.#gate.rounds(count) } : NOTHING_MORE,
    )
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#alarm[Symbol.dispose]()
  }

  #startOf(pool: Pool<D, B>): number {
    return pool.past.start.value ?? this.#starts.value ?? START
  }

  #wants(pool: Pool<D, B>): Verdict {
    this.#options.work.steps++
    const demand = pool.demand(this.#startOf(pool))
    if (this.#options.perCall || pool.workload.once) return demand.waiting > demand.coming ? 'now' : undefined
    return decideStart(demand)
  }

  /** Starts what the gate and the room allow. What happens meanwhile is seen in another round. */
  #feed(): void {
    this.#changed = true
    if (this.#feeding) return
    this.#feeding = true
    try {
      while (this.#changed && !this.#closed) {
        this.#changed = false
        this.#startOne()
      }
      if (!this.#closed) this.#alarm.in(this.#hunger.askAgainAt - this.#options.clock.now())
    } finally {
      this.#feeding = false
    }
  }

  #startOne(): void {
    if (this.#gate.isFull) return
    this.room.reconsider()
    for (const pool of this.#hunger.wanting(LOOKS)) {
      const found = this.room.make(pool, (instance, victim) => this.#options.evict(instance, victim, pool))
      if (found === 'room') {
        this.#launch(pool, false)
        return
      }
      // Patience ends and idle containers fall out of their rhythm without anything happening.
      this.#alarm.in(LOOK_AGAIN)
      // Nobody overtakes who gets what comes back, nor who has waited long; else the small pass the large.
      if (found === 'coming' || this.room.isImpatient(pool)) return
    }
    if (!this.#hunger.isStilled) return
    this.room.relieved()
    this.#startAhead()
  }

  #startAhead(): void {
    const { budget } = this.#options
    for (let looks = Math.min(LOOKS, this.#hunger.eager); looks > 0; looks--) {
      const pool = this.#hunger.nextAhead()
      if (!pool) return
      this.#options.work.steps++
      if (budget.fits(pool.workload.need)) {
        this.#launch(pool, true)
        return
      }
      pool.fleet.ahead = 0 // An order is for the room there is; what is to be kept warm waits for more.
      this.#hunger.update(pool)
    }
    if (this.#hunger.eager > LOOKS) this.#alarm.in(LOOK_AGAIN)
  }

  #launch(pool: Pool<D, B>, ahead: boolean): void {
    const { clock } = this.#options
    const ticket = pool.workload.once ? pool.unbound : undefined
    const start = new Start(pool, clock.now(), this.#why(pool, ahead), ticket)
    this.room.take(pool)
    pool.begin(start)
    this.#hunger.rerank(pool)
    this.#hunger.fed(pool)
    this.#gate.enter(start, this.#startOf(pool))
    this.#changed = true
    this.#options.start(start, pool)
  }

  #why(pool: Pool<D, B>, ahead: boolean): Pick<Start<D, B>, 'reason' | 'evictedFor'> {
    const of = (reason: Start<D, B>['reason'], evictedFor?: string) => ({ reason, evictedFor })
    if (ahead) return of(pool.fleet.ahead > 0 ? 'prewarm' : 'min-warm')
    if (pool.workload.once) return of('one-call')
    if (pool.fleet.size > 0) return of('scale-out')
    return of(pool.past.lost?.reason ?? 'first', pool.past.lost?.evictedFor)
  }
}
