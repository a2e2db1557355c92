import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { type Budget, minus, NOTHING, plus, times } from './budget.ts'
import type { Instance } from './instance.ts'
import type { Pool } from './pool.ts'
import { pauseAfter, worth } from './rest.ts'
import type { Resources, Workload } from './workload.ts'

const MIB = 1024 * 1024

interface Candidate<D extends Workload, B> {
  readonly pool: Pool<D, B>
  readonly instance: Instance<B>
  readonly worth: number
}

/**
 * Who gets the room of a node. Apps share it max-min fairly by dominant share: who holds least comes first, and a
 * container is taken from the busy ones of another app only as far as that app still holds no less than who gets it.
 */
export class Room<D extends Workload, B> {
  readonly #budget: Budget
  readonly #clock: Clock
  readonly #expectedStart: () => number
  readonly #patience: number
  /** What each app and each function holds, ending containers included. */
  readonly #held = new Map<string, Resources>()
  readonly #heldBy = new Map<Pool<D, B>, number>()
  /** Of containers that are being stopped. */
  #coming: Resources = NOTHING
  /** The pool for which room is sought among the busy, until it has it. */
  #claimant: Pool<D, B> | undefined

  /** @param patience milliseconds after which a function without any container is served before all fairness */
  constructor(budget: Budget, clock: Clock, expectedStart: () => number, patience: number) {
    this.#patience = patience
    this.#budget = budget
    this.#clock = clock
    this.#expectedStart = expectedStart
  }

  take(pool: Pool<D, B>): void {
    this.#budget.take(pool.workload.need)
    this.#hold(pool, 1)
    this.satisfied(pool)
  }

  give(pool: Pool<D, B>): void {
    this.#budget.give(pool.workload.need)
    this.#hold(pool, -1)
  }

  /** A container is being stopped. */
  returning(pool: Pool<D, B>): void {
    this.#coming = plus(this.#coming, pool.workload.need)
  }

  returned(pool: Pool<D, B>): void {
    this.#coming = minus(this.#coming, pool.workload.need)
    this.give(pool)
  }

  /** A pool has what it waited for, or waits no more. */
  satisfied(pool: Pool<D, B>): void {
    pool.blockedSince = undefined
    if (this.#claimant === pool) this.#claimant = undefined
  }

  /** Who comes first: functions that start well, of the app that holds least, that hold least, that wait longest. */
  order(pools: Pool<D, B>[]): Pool<D, B>[] {
    this.#claimant = undefined
    if (pools.length < 2) return pools
    const ranked = pools.map((pool) => ({
      pool,
      failing: pool.failures > 1 ? 1 : 0,
      app: this.#share(pool.workload.owner),
      own: this.#ownShare(pool),
    }))
    ranked.sort(
      (a, b) =>
        a.failing - b.failing ||
        a.app - b.app ||
        a.own - b.own ||
        (a.pool.waitingSince ?? 0) - (b.pool.waitingSince ?? 0),
    )
    return ranked.map(({ pool }) => pool)
  }

  /**
   * Room for one more container of `pool`: there now, coming because containers are ending (idle ones of other
   * functions are evicted for it, those worth least first), or blocked by busy ones.
   */
  make(
    pool: Pool<D, B>,
    others: Iterable<Pool<D, B>>,
    evict: (instance: Instance<B>, pool: Pool<D, B>) => void,
  ): 'room' | 'coming' | 'blocked' {
    const { need } = pool.workload
    if (this.#budget.fits(need)) return 'room'
    if (this.#budget.fits(need, this.#coming)) return 'coming'
    const candidates = this.#idle(pool, others)
    const all = candidates.reduce((sum, { pool: { workload } }) => plus(sum, workload.need), this.#coming)
    if (!this.#budget.fits(need, all)) {
      pool.blockedSince ??= this.#clock.now()
      this.#claimant ??= pool
      return 'blocked'
    }
    candidates.sort((a, b) => a.worth - b.worth)
    for (const { instance, pool: victim } of candidates) {
      if (this.#budget.fits(need, this.#coming)) break
      evict(instance, victim)
    }
    return this.#budget.fits(need) ? 'room' : 'coming'
  }

  /** Whether a container of `pool` could be started now, if idle ones of others went. */
  couldTake(pool: Pool<D, B>, others: Iterable<Pool<D, B>>): boolean {
    const { need } = pool.workload
    if (this.#budget.fits(need, this.#coming)) return true
    let all = this.#coming
    for (const other of others)
      if (other !== pool) all = plus(all, times(other.workload.need, Math.max(0, spare(other))))
    return this.#budget.fits(need, all)
  }

  /**
   * Whether a container that could serve its own function's next call is given up for another one, and for which:
   * its app holds more than its fair share, or the other has waited past all patience.
   */
  claimed(pool: Pool<D, B>, instance: Instance<B>): string | undefined {
    const claimant = this.#claimant
    if (!claimant || claimant === pool || pool.waiting === 0 || pool.live <= pool.workload.minWarm)
      return undefined
    const { need } = claimant.workload
    if (instance.served === 0 || this.#budget.fits(need, this.#coming)) return undefined
    return this.isImpatient(claimant) || this.#holdsMore(pool, claimant) ? claimant.workload.key : undefined
  }

  /** Whether a pool that has no container at all has waited for room past all patience. */
  isImpatient(pool: Pool<D, B>): boolean {
    const { blockedSince, live, starts } = pool
    if (blockedSince === undefined || live + starts.size > 0) return false
    return this.#clock.now() - blockedSince >= this.#patience
  }

  tooBig({ need }: Workload): SluiceError {
    const { memory, mcpus } = this.#budget.total
    const detail =
      need.memory > memory
        ? `memory = ${Math.floor(need.memory / MIB)} MiB exceeds the node's ${Math.floor(memory / MIB)} MiB`
        : `cpus = ${need.mcpus / 1_000} exceeds the node's ${mcpus / 1_000}`
    return new SluiceError('too-big-for-node', undefined, { detail })
  }

  /** After giving up one container, `pool` (or its app) would still hold no less than `claimant` after getting one. */
  #holdsMore(pool: Pool<D, B>, claimant: Pool<D, B>): boolean {
    const [from, to] = [pool.workload, claimant.workload]
    const [lost, won] = [this.#budget.share(from.need), this.#budget.share(to.need)]
    return from.owner === to.owner
      ? this.#ownShare(pool) - lost >= this.#ownShare(claimant) + won
      : this.#share(from.owner) - lost >= this.#share(to.owner) + won
  }

  /** Whether what `other` uses in its usual rhythm is safe from `pool`: its app would fall behind that of `pool`. */
  #isEntitled(other: Pool<D, B>, pool: Pool<D, B>): boolean {
    const [from, to] = [other.workload, pool.workload]
    if (from.owner === to.owner || this.isImpatient(pool)) return false
    return this.#share(from.owner) - this.#budget.share(from.need) < this.#share(to.owner)
  }

  #idle(pool: Pool<D, B>, others: Iterable<Pool<D, B>>): Candidate<D, B>[] {
    const now = this.#clock.now()
    const { total, used } = this.#budget
    const shortOfMemory = used.memory - this.#coming.memory + pool.workload.need.memory > total.memory
    const found: Candidate<D, B>[] = []
    for (const other of others) {
      const { need } = other.workload
      if (other === pool || !(shortOfMemory ? need.memory > 0 : need.mcpus > 0)) continue
      const { gap, start } = other.past
      const kept = this.#isEntitled(other, pool) ? pauseAfter('adaptive', gap.value) : 0
      for (const instance of other.idleInstances().slice(0, Math.max(0, spare(other)))) {
        const idleFor = now - instance.idleSince
        if (idleFor < kept) continue
        const cost = start.value ?? this.#expectedStart()
        found.push({
          pool: other,
          instance,
          worth: worth(idleFor, gap.value, cost, this.#budget.share(need)),
        })
      }
    }
    return found
  }

  #share(owner: string): number {
    return this.#budget.share(this.#held.get(owner) ?? NOTHING)
  }

  #ownShare(pool: Pool<D, B>): number {
    return this.#budget.share(times(pool.workload.need, this.#heldBy.get(pool) ?? 0))
  }

  #hold(pool: Pool<D, B>, count: 1 | -1): void {
    const { owner, need } = pool.workload
    const held = plus(this.#held.get(owner) ?? NOTHING, times(need, count))
    if (held.memory === 0 && held.mcpus === 0) this.#held.delete(owner)
    else this.#held.set(owner, held)
    const own = (this.#heldBy.get(pool) ?? 0) + count
    if (own === 0) this.#heldBy.delete(pool)
    else this.#heldBy.set(pool, own)
  }
}

/** Idle containers that are not to be kept warm. */
const spare = <D extends Workload, B>(pool: Pool<D, B>): number =>
  Math.min(pool.idle, pool.live - pool.workload.minWarm)
