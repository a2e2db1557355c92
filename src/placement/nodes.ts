import type { Load } from '../core/load.ts'
import type { IdleByFunction, Placement } from './placement.ts'

/** A node as placement may know it: nothing here but {@link Nodes} and calls under way write it. */
export interface KnownNode {
  /** Never used again for another one. */
  readonly node: number
  /** Stable across balancers and restarts (`host:port`). */
  readonly name: string
  readonly online: boolean
  readonly draining: boolean
  /** Requests outstanding there. */
  readonly inflight: number
}

/** What a node says of itself on a health check. */
export interface NodeReport extends Load<IdleByFunction> {
  readonly draining: boolean
}

interface Entry extends KnownNode {
  online: boolean
  draining: boolean
  inflight: number
  boot: string
  /** The boot before: its late reports must not look like another restart. */
  lastBoot: string
  seq: number
}

/**
 * The nodes that calls are placed on, which of them may be chosen, and how fresh the last report of each is.
 * Every placement that is given hears of every change.
 */
export class Nodes {
  readonly #placements: readonly Placement[]
  readonly #entries = new Map<number, Entry>()
  #all: readonly KnownNode[] = []
  #next = 0

  constructor(...placements: readonly Placement[]) {
    this.#placements = placements
  }

  get all(): readonly KnownNode[] {
    return this.#all
  }

  get(node: number): KnownNode | undefined {
    return this.#entries.get(node)
  }

  /** A new node is presumed online. */
  add(name: string, now: number): KnownNode {
    const entry = this.#enter(name)
    this.#changed(now)
    return entry
  }

  /** Many at once: placement hears of one change. */
  addAll(names: readonly string[], now: number): readonly KnownNode[] {
    const entries = names.map((name) => this.#enter(name))
    this.#changed(now)
    return entries
  }

  /** Forgets it: one of the same name is a new one. */
  remove(node: number, now: number): void {
    if (this.#entries.delete(node)) this.#changed(now)
  }

  setOnline(node: number, online: boolean, now: number): void {
    this.#set(node, online, undefined, now)
  }

  /** What the node said of itself; holds until it says otherwise. */
  setDraining(node: number, draining: boolean, now: number): void {
    this.#set(node, undefined, draining, now)
  }

  /** Whether a report is no older than what is known; if so, it is what is known. */
  isFresh(node: number, { boot, seq }: Pick<Load, 'boot' | 'seq'>): boolean {
    const entry = this.#entries.get(node)
    if (!entry) return false
    if (boot === entry.boot) {
      if (seq < entry.seq) return false
    } else {
      if (boot === entry.lastBoot) return false
      entry.lastBoot = entry.boot
      entry.boot = boot
    }
    entry.seq = seq
    return true
  }

  /** What a node said of itself on a health check. An old one changes nothing. */
  digest(node: number, report: NodeReport, now: number): void {
    if (!this.isFresh(node, report)) return
    this.setDraining(node, report.draining, now)
    for (const placement of this.#placements) placement.digest(node, report, now)
  }

  /** A request was sent there. */
  sent(node: number): void {
    const entry = this.#entries.get(node)
    if (entry) entry.inflight++
  }

  /** A request that was sent there is outstanding no more. */
  done(node: number): void {
    const entry = this.#entries.get(node)
    if (entry) entry.inflight--
  }

  #enter(name: string): Entry {
    const entry: Entry = {
      node: this.#next++,
      name,
      online: true,
      draining: false,
      inflight: 0,
      boot: '',
      lastBoot: '',
      seq: -1,
    }
    this.#entries.set(entry.node, entry)
    return entry
  }

  #set(node: number, online: boolean | undefined, draining: boolean | undefined, now: number): void {
    const entry = this.#entries.get(node)
    if (!entry) return
    const [was, drained] = [entry.online, entry.draining]
    entry.online = online ?? was
    entry.draining = draining ?? drained
    if (entry.online !== was || entry.draining !== drained) this.#changed(now)
  }

  #changed(now: number): void {
    const entries = [...this.#entries.values()]
    this.#all = entries
    const members = entries.map(({ node, name, online, draining }) => ({
      node,
      name,
      eligible: online && !draining,
    }))
    for (const placement of this.#placements) placement.member(members, now)
  }
}
