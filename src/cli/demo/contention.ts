import type { Clock } from '../../core/clock.ts'

/** Milliseconds of CPU that one look costs: long enough that whoever else wants the CPU gets a turn. */
const LOOK = 60
/** Beyond this a piece of work takes so much longer than its CPU time that waits say little. */
const BUSY = 1.5

/** Whether others want this machine's CPUs, seen by how much longer a piece of work takes than its CPU time. */
export class Contention {
  readonly #clock: Clock
  #worst = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Works for a moment while nothing else does in this process. */
  look(): void {
    const began = this.#clock.now()
    const before = process.threadCpuUsage()
    let used = 0
    while (used < LOOK) {
      const { user, system } = process.threadCpuUsage(before)
      used = (user + system) / 1_000
    }
    this.#worst = Math.max(this.#worst, (this.#clock.now() - began) / used)
  }

  /** How many times its CPU time a piece of work took, at worst. */
  get factor(): number {
    return Math.round(this.#worst * 10) / 10
  }

  get isBusy(): boolean {
    return this.#worst >= BUSY
  }
}
