import { type Budget, minus, NOTHING, plus, times } from './budget.ts'
import type { Entry } from './heap.ts'
import { Shelf, type Short } from './shelf.ts'
import type { Work } from './work.ts'
import type { Resources } from './workload.ts'

/** What containers hold together: those with memory, and those with CPUs. */
export class Sum {
  #withMemory = NOTHING
  #withCpus = NOTHING

  /** @param count negative: to take away */
  add(need: Resources, count: number): void {
    const more = times(need, count)
    if (need.memory > 0) this.#withMemory = plus(this.#withMemory, more)
    if (need.mcpus > 0) this.#withCpus = plus(this.#withCpus, more)
  }

  /** Of the containers that hold what is short. */
  of(short: Short): Resources {
    return short === 'memory' ? this.#withMemory : this.#withCpus
  }
}

/** An app on this node: what it holds, and what of that is idle. */
export class Account<P> {
  readonly owner: string
  /** What its idle containers hold that it can spare; of those, the ones that have fallen silent. */
  readonly spare: Sum = new Sum()
  readonly silent: Sum = new Sum()
  readonly shelf: Shelf<P>
  /** Pools that are known. */
  pools = 0
  /** Among the apps that can spare something. */
  spares: Entry<Account<P>> | undefined
  #held = NOTHING
  #share = 0

  constructor(owner: string, work: Work) {
    this.owner = owner
    this.shelf = new Shelf(work)
  }

  /** Its dominant share of the node. */
  get share(): number {
    return this.#share
  }

  get isEmpty(): boolean {
    return this.pools === 0 && this.#held.memory === 0 && this.#held.mcpus === 0
  }

  hold(need: Resources, count: 1 | -1, budget: Budget): void {
    this.#held = count > 0 ? plus(this.#held, need) : minus(this.#held, need)
    this.#share = budget.share(this.#held)
  }
}
