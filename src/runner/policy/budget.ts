import type { Resources } from './workload.ts'

/** What containers of this node may be promised together. What is taken is given back, exactly once, by who took it. */
export class Budget {
  readonly total: Resources
  #memory = 0
  #mcpus = 0

  constructor(total: Resources) {
    this.total = total
  }

  get used(): Resources {
    return { memory: this.#memory, mcpus: this.#mcpus }
  }

  /** Whether `need` fits beside what is taken, once `returning` has come back. */
  fits(need: Resources, returning: Resources = NOTHING): boolean {
    return (
      this.#memory - returning.memory + need.memory <= this.total.memory &&
      this.#mcpus - returning.mcpus + need.mcpus <= this.total.mcpus
    )
  }

  /** Whether `need` would fit if nothing else were there. */
  couldFit({ memory, mcpus }: Resources): boolean {
    return memory <= this.total.memory && mcpus <= this.total.mcpus
  }

  take(need: Resources): void {
    this.#memory += need.memory
    this.#mcpus += need.mcpus
  }

  give(need: Resources): void {
    this.#memory -= need.memory
    this.#mcpus -= need.mcpus
  }

  /** Dominant share, 0 to 1: the larger of the two shares (Ghodsi et al., Dominant Resource Fairness, NSDI 2011). */
  share({ memory, mcpus }: Resources): number {
    return Math.max(ratio(memory, this.total.memory), ratio(mcpus, this.total.mcpus))
  }
}

export const NOTHING: Resources = { memory: 0, mcpus: 0 }

export const plus = (a: Resources, b: Resources): Resources => ({
  memory: a.memory + b.memory,
  mcpus: a.mcpus + b.mcpus,
})

export const minus = (a: Resources, b: Resources): Resources => ({
  memory: a.memory - b.memory,
  mcpus: a.mcpus - b.mcpus,
})

export const times = (a: Resources, n: number): Resources => ({ memory: a.memory * n, mcpus: a.mcpus * n })

const ratio = (part: number, whole: number) => (part === 0 ? 0 : part / whole)
