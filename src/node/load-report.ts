import type { Load } from '../core/headers.ts'
import type { Runner } from '../runner/runner.ts'

/** What a node says of itself with each reply: numbered, under the name of this start of the node. */
export class LoadReport {
  readonly boot: string
  readonly cap: number
  readonly #runner: Runner
  #seq = 0

  /** @param cap calls this node can run at once */
  constructor(runner: Runner, boot: string, cap: number) {
    this.#runner = runner
    this.boot = boot
    this.cap = cap
  }

  /** @param idle idle instances of the call's function, after the call */
  next(idle: number): Load {
    const { run, queue } = this.#runner.load
    return { run, queue, cap: this.cap, idle, boot: this.boot, seq: ++this.#seq }
  }
}
