import type { Account } from './account.ts'
import { type Entry, Heap } from './heap.ts'
import type { Pool } from './pool.ts'
import type { Work } from './work.ts'
import type { Workload } from './workload.ts'

/** A pool that wants a container, and what its rank depends on, as it was when it was last asked. */
export interface Rank<D extends Workload, B> {
  readonly pool: Pool<D, B>
  readonly failing: boolean
  /** Its own share of the node. */
  readonly own: number
  /** Since when a call of it waits (ms of the clock). */
  readonly since: number
  /** Which came first, of two that are equal in everything else. */
  readonly turn: number
}

/** A rank's place. */
export interface Ranked<D extends Workload, B> {
  readonly rank: Rank<D, B>
  readonly group: Group<D, B>
  readonly entry: Entry<Rank<D, B>>
}

/** The pools of one app. */
interface Group<D extends Workload, B> {
  readonly account: Account<Pool<D, B>>
  readonly ranks: Heap<Rank<D, B>>
  readonly entry: Entry<Group<D, B>>
}

/** A group whose pools are being gone through. */
interface Opened<D extends Workload, B> {
  readonly account: Account<Pool<D, B>>
  readonly rest: Iterator<Rank<D, B>, void>
  next: Rank<D, B>
}

/**
 * Pools in the order in which they get containers: functions that start well before those that fail, of the app that
 * holds least, that hold least, that wait longest. An app's share moves its pools all at once.
 */
export class Ranks<D extends Workload, B> {
  readonly #well: Groups<D, B>
  readonly #failing: Groups<D, B>

  constructor(work: Work) {
    this.#well = new Groups(work)
    this.#failing = new Groups(work)
  }

  get isEmpty(): boolean {
    return this.#well.size + this.#failing.size === 0
  }

  add(rank: Rank<D, B>): Ranked<D, B> {
    return (rank.failing ? this.#failing : this.#well).add(rank)
  }

  remove(ranked: Ranked<D, B>): void {
    ;(ranked.rank.failing ? this.#failing : this.#well).remove(ranked)
  }

  /** The app holds more or less than before. */
  rerank(account: Account<Pool<D, B>>): void {
    this.#well.rerank(account)
    this.#failing.rerank(account)
  }

  /** All, as far as they are asked for. Not to be changed meanwhile. */
  *inOrder(): Generator<Pool<D, B>, void> {
    yield* this.#well.inOrder()
    yield* this.#failing.inOrder()
  }
}

class Groups<D extends Workload, B> {
  readonly #work: Work
  readonly #groups: Heap<Group<D, B>>
  readonly #byAccount = new Map<Account<Pool<D, B>>, Group<D, B>>()

  constructor(work: Work) {
    this.#work = work
    this.#groups = new Heap((a, b) => isBefore(a.account, first(a), b.account, first(b)), work)
  }

  get size(): number {
    return this.#groups.size
  }

  add(rank: Rank<D, B>): Ranked<D, B> {
    const { account } = rank.pool
    const known = this.#byAccount.get(account)
    if (known) {
      const entry = known.ranks.add(rank)
      this.#groups.moved(known.entry)
      return { rank, group: known, entry }
    }
    const ranks = new Heap<Rank<D, B>>((a, b) => isBefore(account, a, account, b), this.#work)
    const entry = ranks.add(rank)
    const group: { account: typeof account; ranks: typeof ranks; entry?: Entry<Group<D, B>> } = {
      account,
      ranks,
    }
    group.entry = this.#groups.add(group as Group<D, B>)
    this.#byAccount.set(account, group as Group<D, B>)
    return { rank, group: group as Group<D, B>, entry }
  }

  remove({ group, entry }: Ranked<D, B>): void {
    // Before it is empty: a group is compared by its first.
    if (group.ranks.size === 1) {
      this.#groups.remove(group.entry)
      this.#byAccount.delete(group.account)
    }
    group.ranks.remove(entry)
    this.#groups.moved(group.entry)
  }

  rerank(account: Account<Pool<D, B>>): void {
    const group = this.#byAccount.get(account)
    if (group) this.#groups.moved(group.entry)
  }

  *inOrder(): Generator<Pool<D, B>, void> {
    const opened: Opened<D, B>[] = []
    const groups = this.#groups.inOrder()
    let closed = groups.next()
    for (;;) {
      let best = opened[0]
      for (const other of opened) {
        this.#work.steps++
        if (best && isBefore(other.account, other.next, best.account, best.next)) best = other
      }
      if (!closed.done) {
        const { account, ranks } = closed.value
        if (!best || isBefore(account, ranks.first as Rank<D, B>, best.account, best.next)) {
          const rest = ranks.inOrder()
          best = { account, rest, next: rest.next().value as Rank<D, B> }
          opened.push(best)
          closed = groups.next()
        }
      }
      if (!best) return
      yield best.next.pool
      const next = best.rest.next()
      if (next.done) opened.splice(opened.indexOf(best), 1)
      else best.next = next.value
    }
  }
}

const first = <D extends Workload, B>({ ranks }: Group<D, B>): Rank<D, B> => ranks.first as Rank<D, B>

function isBefore<D extends Workload, B>(
  accountA: Account<Pool<D, B>>,
  a: Rank<D, B>,
  accountB: Account<Pool<D, B>>,
  b: Rank<D, B>,
): boolean {
  const order = accountA.share - accountB.share || a.own - b.own || a.since - b.since || a.turn - b.turn
  return order < 0
}
