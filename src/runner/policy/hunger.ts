import type { Clock } from '../../core/clock.ts'
import { type Entry, Heap } from './heap.ts'
import type { Pool } from './pool.ts'
import { type Ranked, Ranks } from './ranks.ts'
import type { Work } from './work.ts'
import type { Workload } from './workload.ts'

/** Whether a pool wants a container now; else after how many milliseconds to ask again, if at all. */
export type Verdict = 'now' | number | undefined

interface Wish<D extends Workload, B> {
  readonly pool: Pool<D, B>
  /** Since when it has wanted containers for its calls without getting one (ms of the clock). */
  wantsSince: number | undefined
  ranked: Ranked<D, B> | undefined
  /** In the line of those who want containers ahead of calls. */
  ahead: Entry<Wish<D, B>> | undefined
  turn: number
  /** When to ask again although nothing happened. */
  dueAt: number
  due: Entry<Wish<D, B>> | undefined
}

/** Who wants containers: those with calls that wait, by rank, and those that want some ahead of calls. */
export class Hunger<D extends Workload, B> {
  readonly #clock: Clock
  readonly #ask: (pool: Pool<D, B>) => Verdict
  readonly #shareOf: (pool: Pool<D, B>) => number
  readonly #wishes = new Map<Pool<D, B>, Wish<D, B>>()
  readonly #ranks: Ranks<D, B>
  readonly #ahead: Heap<Wish<D, B>>
  readonly #due: Heap<Wish<D, B>>
  #turns = 0

  /** @param ask whether a pool whose calls wait wants one more container */
  constructor(
    clock: Clock,
    ask: (pool: Pool<D, B>) => Verdict,
    shareOf: (pool: Pool<D, B>) => number,
    work: Work,
  ) {
    this.#clock = clock
    this.#ask = ask
    this.#shareOf = shareOf
    this.#ranks = new Ranks(work)
    this.#ahead = new Heap((a, b) => a.turn < b.turn, work)
    this.#due = new Heap((a, b) => a.dueAt < b.dueAt, work)
  }

  get isEmpty(): boolean {
    return this.#wishes.size === 0
  }

  /** Whether nobody's calls want a container now. */
  get isStilled(): boolean {
    return this.#ranks.isEmpty
  }

  /** Pools that want containers ahead of calls. */
  get eager(): number {
    return this.#ahead.size
  }

  /** When somebody has to be asked again although nothing happened (ms of the clock). */
  get askAgainAt(): number {
    return this.#due.first?.dueAt ?? Infinity
  }

  wantsSince(pool: Pool<D, B>): number | undefined {
    return this.#wishes.get(pool)?.wantsSince
  }

  /** Something of the pool has changed: whether it wants a container, and how badly, may have too. */
  update(pool: Pool<D, B>): void {
    const isHungry = pool.waiting > 0
    const isEager = pool.fleet.wantedAhead > 0
    const known = this.#wishes.get(pool)
    if (!isHungry && !isEager && !known) return
    const wish = known ?? this.#wish(pool)
    const held = pool.failures.backsOffFor
    const verdict = !isHungry ? undefined : held > 0 ? held : this.#ask(pool)
    const again = typeof verdict === 'number' ? verdict : isEager && held > 0 ? held : Infinity
    this.#rank(wish, isHungry && verdict === 'now')
    this.#queueAhead(wish, isEager && held === 0)
    this.#askAt(wish, this.#clock.now() + again)
    if (!isHungry) wish.wantsSince = undefined
    if (!isHungry && !isEager) this.#wishes.delete(pool)
  }

  /** It got a container: it has not waited for the next one yet. */
  fed(pool: Pool<D, B>): void {
    const wish = this.#wishes.get(pool)
    if (wish) wish.wantsSince = undefined
    this.update(pool)
  }

  /** Its app holds more or less than before. */
  rerank({ account }: Pool<D, B>): void {
    this.#ranks.rerank(account)
  }

  /** Asks those again whose time has come. */
  askDue(): void {
    const now = this.#clock.now()
    for (let wish = this.#due.first; wish && wish.dueAt <= now; wish = this.#due.first) {
      this.#askAt(wish, Infinity)
      this.update(wish.pool)
    }
  }

  /** Those that want a container for a call now, who comes first first, as far as they are asked for, and `most`. */
  *wanting(most: number): Generator<Pool<D, B>, void> {
    const others: Pool<D, B>[] = []
    try {
      let left = most
      for (const pool of this.#ranks.inOrder()) {
        if (left-- === 0) return
        // Time alone may have stilled it: what is on its way is nearer.
        if (this.#ask(pool) === 'now') yield pool
        else others.push(pool)
      }
    } finally {
      for (const pool of others) this.update(pool)
    }
  }

  /** The next that wants a container ahead of calls; it goes to the end of the line. */
  nextAhead(): Pool<D, B> | undefined {
    const wish = this.#ahead.first
    if (!wish?.ahead) return undefined
    wish.turn = this.#turns++
    this.#ahead.moved(wish.ahead)
    return wish.pool
  }

  #wish(pool: Pool<D, B>): Wish<D, B> {
    const wish: Wish<D, B> = {
      pool,
      wantsSince: undefined,
      ranked: undefined,
      ahead: undefined,
      turn: this.#turns++,
      dueAt: Infinity,
      due: undefined,
    }
    this.#wishes.set(pool, wish)
    return wish
  }

  #rank(wish: Wish<D, B>, wants: boolean): void {
    const { pool } = wish
    const failing = pool.failures.count > 1
    const own = this.#shareOf(pool)
    const since = pool.waitingSince ?? 0
    if (wish.ranked) {
      const { rank } = wish.ranked
      if (wants && rank.failing === failing && rank.own === own && rank.since === since) return
      this.#ranks.remove(wish.ranked)
      wish.ranked = undefined
    }
    if (!wants) return
    wish.wantsSince ??= this.#clock.now()
    wish.ranked = this.#ranks.add({ pool, failing, own, since, turn: wish.turn })
  }

  #queueAhead(wish: Wish<D, B>, wants: boolean): void {
    if (wants) wish.ahead ??= this.#ahead.add(wish)
    else if (wish.ahead) {
      this.#ahead.remove(wish.ahead)
      wish.ahead = undefined
    }
  }

  #askAt(wish: Wish<D, B>, at: number): void {
    if (wish.dueAt === at) return
    wish.dueAt = at
    if (wish.due) this.#due.remove(wish.due)
    wish.due = at === Infinity ? undefined : this.#due.add(wish)
  }
}
