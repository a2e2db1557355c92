import type { Load, LoadDigest } from '../core/load.ts'
import type { Runner } from '../runner/runner.ts'

/** Functions without idle instances that are still reported as such. */
const MOST_GONE = 20_000

interface Entry {
  idle: number
  /** The digest in which it got this value. */
  seq: number
}

/** What a node says of itself with each reply: numbered, under the name of this start of the node. */
export class LoadReport {
  readonly boot: string
  readonly cap: number
  readonly #runner: Runner
  readonly #entries = new Map<string, Entry>()
  /** Changes up to here have been forgotten: a delta from before would be incomplete. */
  #forgotten = 0
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

  /**
   * Idle instances by function. A delta against the digest `since`, when that was one of this start of the node and
   * everything that changed since is still known; else all.
   */
  digest(since?: { readonly boot: string; readonly seq: number }): Omit<LoadDigest, 'draining'> {
    const load = this.next(0)
    this.#update(load.seq)
    const isDelta = since?.boot === this.boot && since.seq >= this.#forgotten && since.seq < load.seq
    const idle: Record<string, number> = {}
    for (const [fn, entry] of this.#entries)
      if (isDelta ? entry.seq > since.seq : entry.idle > 0) idle[fn] = entry.idle
    return { ...load, kind: isDelta ? 'delta' : 'full', idle }
  }

  #update(seq: number): void {
    const seen = new Set<string>()
    for (const { definition, idle } of this.#runner.pools()) {
      seen.add(definition.key)
      this.#set(definition.key, idle, seq)
    }
    let gone = 0
    for (const [fn, entry] of this.#entries) {
      if (!seen.has(fn)) this.#set(fn, 0, seq)
      if (entry.idle === 0) gone++
    }
    if (gone > MOST_GONE) this.#forget(seq)
  }

  #set(fn: string, idle: number, seq: number): void {
    const entry = this.#entries.get(fn)
    if (!entry) {
      if (idle > 0) this.#entries.set(fn, { idle, seq })
    } else if (entry.idle !== idle) {
      entry.idle = idle
      entry.seq = seq
    }
  }

  #forget(seq: number): void {
    this.#forgotten = seq
    for (const [fn, entry] of this.#entries) if (entry.idle === 0) this.#entries.delete(fn)
  }
}
