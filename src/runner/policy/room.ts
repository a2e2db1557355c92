import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { Account } from './account.ts'
import { type Budget, minus, NOTHING, plus, times } from './budget.ts'
import type { Instance } from './instance.ts'
import type { Pool } from './pool.ts'
import { Spares } from './spares.ts'
import type { Work } from './work.ts'
import type { Resources, Workload } from './workload.ts'

const MIB = 1024 * 1024

export interface RoomOptions<D extends Workload, B> {
  readonly budget: Budget
  readonly clock: Clock
  /** Milliseconds a start takes where nothing is known of the function. */
  readonly expectedStart: () => number
  /** Milliseconds after which a function without any container is served before all fairness. */
  readonly patience: number
  /** Since when a pool has wanted a container without getting one (ms of the clock). */
  readonly wantsSince: (pool: Pool<D, B>) => number | undefined
  readonly work: Work
}

/**
 * Who gets the room of a node. Apps share it max-min fairly by dominant share: who holds least comes first, and a
 * container is taken from the busy ones of another app only as far as that app still holds no less than who gets it.
 */
export class Room<D extends Workload, B> {
  readonly spares: Spares<D, B>
  readonly #options: RoomOptions<D, B>
  readonly #budget: Budget
  readonly #accounts = new Map<string, Account<Pool<D, B>>>()
  /** Of containers that are being stopped. */
  #coming: Resources = NOTHING
  /** The pool for which room is sought among the busy, until it has it. */
  #claimant: Pool<D, B> | undefined
  /** Since when somebody has found no room, until nobody wants any (ms of the clock). */
  #shortSince: number | undefined

  constructor(options: RoomOptions<D, B>) {
    this.#options = options
    this.#budget = options.budget
    this.spares = new Spares(options.budget, options.expectedStart, options.work)
  }

  /** The account of an app, for one more pool of it. */
  open(owner: string): Account<Pool<D, B>> {
    const known = this.#accounts.get(owner)
    const account = known ?? new Account<Pool<D, B>>(owner, this.#options.work)
    if (!known) this.#accounts.set(owner, account)
    account.pools++
    return account
  }

  /** A pool of the app is forgotten. */
  leave(account: Account<Pool<D, B>>): void {
    account.pools--
    if (account.isEmpty) this.#accounts.delete(account.owner)
  }

  take(pool: Pool<D, B>): void {
    this.#budget.take(pool.workload.need)
    this.#hold(pool, 1)
    this.satisfied(pool)
  }

  give(pool: Pool<D, B>): void {
    this.#budget.give(pool.workload.need)
    this.#hold(pool, -1)
    if (pool.account.isEmpty) this.#accounts.delete(pool.account.owner)
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
    if (this.#claimant === pool) this.#claimant = undefined
  }

  /** Those who want room are gone through: the first that finds none gets what busy ones give up. */
  reconsider(): void {
    this.#claimant = undefined
  }

  /** Nobody wants room now. */
  relieved(): void {
    this.#shortSince = undefined
  }

  /**
   * Room for one more container of `pool`: there now, coming because containers are ending (idle ones of other
   * functions are evicted for it, those worth least first), or blocked by busy ones.
   */
  make(
    pool: Pool<D, B>,
    evict: (instance: Instance<B>, pool: Pool<D, B>) => void,
  ): 'room' | 'coming' | 'blocked' {
    this.#options.work.steps++
    const { need } = pool.workload
    const { total, used } = this.#budget
    if (this.#budget.fits(need)) return 'room'
    if (this.#budget.fits(need, this.#coming)) return 'coming'
    const now = this.#options.clock.now()
    const short = used.memory - this.#coming.memory + need.memory > total.memory ? 'memory' : 'mcpus'
    const reach = this.spares.reach(pool, short, this.isImpatient(pool))
    if (!this.#budget.fits(need, plus(this.#coming, this.spares.within(reach)))) {
      this.#shortSince ??= now
      this.#claimant ??= pool
      return 'blocked'
    }
    while (!this.#budget.fits(need, this.#coming)) {
      const victim = this.spares.least(reach, now)
      const longest = victim?.fleet.instances.longestIdle
      if (!longest) break
      evict(longest, victim)
    }
    return this.#budget.fits(need) ? 'room' : 'coming'
  }

  /** Containers of `pool` that could be started now, if idle ones of others went. */
  couldTake(pool: Pool<D, B>): number {
    const { need } = pool.workload
    const { total, used } = this.#budget
    const back = plus(this.#coming, this.spares.ofOthers(pool))
    return Math.min(
      fit(total.memory - used.memory + back.memory, need.memory),
      fit(total.mcpus - used.mcpus + back.mcpus, need.mcpus),
    )
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
    const { wantsSince, clock, patience } = this.#options
    const wants = wantsSince(pool)
    if (wants === undefined || this.#shortSince === undefined || pool.fleet.size > 0) return false
    return clock.now() - Math.max(wants, this.#shortSince) >= patience
  }

  tooBig({ need }: Workload): SluiceError {
    const { memory, mcpus } = this.#budget.total
    const detail =
      need.memory > memory
        ? `memory = ${Math.floor(need.memory / MIB)} MiB exceeds the node's ${Math.floor(memory / MIB)} MiB`
        : `cpus = ${need.mcpus / 1_000} exceeds the node's ${mcpus / 1_000}`
    return new SluiceError('too-big-for-node', undefined, { detail })
  }

  /** What a function holds of the node by itself. */
  shareOf(pool: Pool<D, B>): number {
    return this.#budget.share(times(pool.workload.need, pool.fleet.held))
  }

  /** After giving up one container, `pool` (or its app) would still hold no less than `claimant` after getting one. */
  #holdsMore(pool: Pool<D, B>, claimant: Pool<D, B>): boolean {
    const lost = this.#budget.share(pool.workload.need)
    const won = this.#budget.share(claimant.workload.need)
    return pool.account === claimant.account
      ? this.shareOf(pool) - lost >= this.shareOf(claimant) + won
      : pool.account.share - lost >= claimant.account.share + won
  }

  #hold(pool: Pool<D, B>, count: 1 | -1): void {
    pool.fleet.held += count
    pool.account.hold(pool.workload.need, count, this.#budget)
    this.spares.rerank(pool.account)
  }
}

/** How many of a size fit; what takes nothing always does. */
const fit = (left: number, size: number) => (size === 0 ? Infinity : Math.max(0, Math.floor(left / size)))
