import { type Account, Sum } from './account.ts'
import { type Budget, minus, plus, times } from './budget.ts'
import { Heap } from './heap.ts'
import type { Pool } from './pool.ts'
import { slopeOf, worthOf } from './rest.ts'
import { Shelf, type Shelved, type Short, type Spare } from './shelf.ts'
import type { Work } from './work.ts'
import type { Resources, Workload } from './workload.ts'

/** Of the apps that hold more than the one that wants room, those that are looked at: the richest. */
const RICH = 8

/** Which idle containers of others a pool may have. */
export interface Reach<D extends Workload, B> {
  readonly pool: Pool<D, B>
  readonly short: Short
  /** Apps whose containers it may have although they are in their rhythm; `undefined` = those of all. */
  readonly apps: readonly Account<Pool<D, B>>[] | undefined
}

interface Known<D extends Workload, B> {
  readonly spare: Spare<Pool<D, B>>
  readonly places: readonly (readonly [Shelf<Pool<D, B>>, Shelved<Pool<D, B>>])[]
}

/** The idle containers of a node that may be let go of, and for whom. */
export class Spares<D extends Workload, B> {
  readonly #budget: Budget
  readonly #work: Work
  readonly #expectedStart: () => number
  readonly #known = new Map<Pool<D, B>, Known<D, B>>()
  readonly #all: Shelf<Pool<D, B>>
  readonly #silent: Shelf<Pool<D, B>>
  readonly #sum = new Sum()
  readonly #silentSum = new Sum()
  readonly #richest: Heap<Account<Pool<D, B>>>

  constructor(budget: Budget, expectedStart: () => number, work: Work) {
    this.#budget = budget
    this.#work = work
    this.#expectedStart = expectedStart
    this.#all = new Shelf(work)
    this.#silent = new Shelf(work)
    this.#richest = new Heap((a, b) => a.share > b.share, work)
  }

  /** The idle containers of `pool` are others than before, or worth something else. */
  update(pool: Pool<D, B>): void {
    const known = this.#known.get(pool)
    const spare = this.#spareOf(pool)
    if (known && spare && isSame(known.spare, spare)) return
    if (known) this.#remove(known)
    if (spare) this.#put(spare)
  }

  /** An app holds more or less than before. */
  rerank({ spares }: Account<Pool<D, B>>): void {
    if (spares) this.#richest.moved(spares)
  }

  /** What `pool` may have when it is `entitled` to everything, or else what others do not use or have too much of. */
  reach(pool: Pool<D, B>, short: Short, entitled: boolean): Reach<D, B> {
    const { account, workload } = pool
    if (entitled || account.share === 0) return { pool, short, apps: undefined }
    const enough = account.share + this.#budget.share(workload.need)
    const apps = [account]
    for (const app of this.#richest.inOrder()) {
      this.#work.steps++
      if (apps.length > RICH || app.share < enough) break
      if (app !== account) apps.push(app)
    }
    return { pool, short, apps }
  }

  /** What the containers within reach hold. */
  within({ pool, short, apps }: Reach<D, B>): Resources {
    const own = this.#known.get(pool)?.spare
    const mine = own && own.need[short] > 0 ? times(own.need, own.count) : undefined
    let sum = this.#sum.of(short)
    if (apps) {
      sum = this.#silentSum.of(short)
      for (const app of apps) sum = plus(sum, minus(app.spare.of(short), app.silent.of(short)))
    }
    return mine ? minus(sum, mine) : sum
  }

  /** What all containers of others hold that could be let go of. */
  ofOthers(pool: Pool<D, B>): Resources {
    const { memory } = this.within({ pool, short: 'memory', apps: undefined })
    const { mcpus } = this.within({ pool, short: 'mcpus', apps: undefined })
    return { memory, mcpus }
  }

  /** Whose longest idle container goes first. */
  least({ pool, short, apps }: Reach<D, B>, now: number): Pool<D, B> | undefined {
    if (!apps) return this.#all.least(short, now, pool)?.pool
    const found = [this.#silent, ...apps.map(({ shelf }) => shelf)].flatMap(
      (shelf) => shelf.least(short, now, pool) ?? [],
    )
    return found.reduce<Spare<Pool<D, B>> | undefined>(
      (best, spare) => (best && worthOf(best, now) <= worthOf(spare, now) ? best : spare),
      undefined,
    )?.pool
  }

  #spareOf(pool: Pool<D, B>): Spare<Pool<D, B>> | undefined {
    const count = pool.fleet.spare
    const longest = pool.fleet.instances.longestIdle
    if (count === 0 || !longest) return undefined
    const { need } = pool.workload
    const { gap, start } = pool.past
    return {
      pool,
      need,
      count,
      silent: Math.min(count, pool.fleet.instances.silent),
      idleSince: longest.idleSince,
      gap: gap.value ?? 0,
      slope: slopeOf(start.value ?? this.#expectedStart(), this.#budget.share(need)),
    }
  }

  #put(spare: Spare<Pool<D, B>>): void {
    const { pool, silent } = spare
    const { account } = pool
    const shelves = [this.#all, account.shelf, ...(silent > 0 ? [this.#silent] : [])]
    this.#known.set(pool, { spare, places: shelves.map((shelf) => [shelf, shelf.put(spare)]) })
    this.#count(spare, 1)
    account.spares ??= this.#richest.add(account)
  }

  #remove({ spare, places }: Known<D, B>): void {
    const { account } = spare.pool
    this.#known.delete(spare.pool)
    for (const [shelf, shelved] of places) shelf.remove(spare, shelved)
    this.#count(spare, -1)
    if (!account.spares || !account.shelf.isEmpty) return
    this.#richest.remove(account.spares)
    account.spares = undefined
  }

  #count({ pool: { account }, need, count, silent }: Spare<Pool<D, B>>, sign: 1 | -1): void {
    for (const sum of [this.#sum, account.spare]) sum.add(need, sign * count)
    if (silent > 0) for (const sum of [this.#silentSum, account.silent]) sum.add(need, sign * silent)
  }
}

const isSame = <P>(a: Spare<P>, b: Spare<P>): boolean =>
  a.count === b.count &&
  a.silent === b.silent &&
  a.idleSince === b.idleSince &&
  a.gap === b.gap &&
  a.slope === b.slope
