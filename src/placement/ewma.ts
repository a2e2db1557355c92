/** The weight of a new sample. */
const GAIN = 0.1

/** Functions remembered of each node; beyond that the one not heard of for longest goes. */
const MAX_FUNCTIONS = 10_000

/**
 * The next average. Whole nanoseconds, truncated as integers would be, so that equal samples give equal
 * averages everywhere. The first sample is taken as it is.
 */
export const average = (old: number | undefined, sample: number): number =>
  Math.trunc(old === undefined ? sample : sample * GAIN + old * (1 - GAIN))

/** The average wait per node and function, in nanoseconds. Bounded: a node that leaves takes its averages along. */
export interface WaitTable {
  /** The most functions that are known of one node. */
  readonly functions: number
  /** @param waitMs milliseconds */
  record(node: number, fn: number, waitMs: number): void
  /** 0 when nothing is known. */
  get(node: number, fn: number): number
  /** Forgets a function on every node. */
  forget(fn: number): void
  /** Forgets every node but these. */
  retain(nodes: ReadonlySet<number>): void
}

export function waitTable(limit: number = MAX_FUNCTIONS): WaitTable {
  const nodes = new Map<number, Map<number, number>>()
  return {
    get functions() {
      return Math.max(0, ...[...nodes.values()].map((waits) => waits.size))
    },
    record(node, fn, waitMs) {
      const waits = nodes.get(node)
      if (!waits) return
      const old = waits.get(fn)
      // Order matters only near the limit, and moving an entry of a small map is dear.
      if (old !== undefined) {
        if (waits.size * 2 >= limit) waits.delete(fn)
      } else if (waits.size >= limit) waits.delete(waits.keys().next().value as number)
      waits.set(fn, average(old, waitMs * 1e6))
    },
    get: (node, fn) => nodes.get(node)?.get(fn) ?? 0,
    forget(fn) {
      for (const waits of nodes.values()) waits.delete(fn)
    },
    retain(kept) {
      for (const node of nodes.keys()) if (!kept.has(node)) nodes.delete(node)
      for (const node of kept) if (!nodes.has(node)) nodes.set(node, new Map())
    },
  }
}
