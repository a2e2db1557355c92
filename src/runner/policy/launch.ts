/** What a function needs and has on this node, in calls and containers. */
export interface Demand {
  /** Calls that wait for a slot. */
  readonly waiting: number
  /** Calls that run. */
  readonly running: number
  /** Slots of ready containers that no call uses. */
  readonly free: number
  /** Containers that were started and are not ready yet. */
  readonly starting: number
  /** Calls one container serves at once, at least 1. */
  readonly concurrency: number
  /** Calls that may run at once on this node; 0 = no limit. */
  readonly maxConcurrency: number
}

/**
 * How many containers to start now: as many as the waiting calls that could run still lack, counting a starting
 * container as `concurrency` future slots. So a burst of first calls never starts more than one container a call,
 * and a call beyond `maxConcurrency` starts none.
 */
export function containersToStart(demand: Demand): number {
  const room = demand.maxConcurrency === 0 ? Infinity : Math.max(0, demand.maxConcurrency - demand.running)
  const runnable = Math.min(demand.waiting, room)
  const coming = demand.free + demand.starting * demand.concurrency
  return Math.max(0, Math.ceil((runnable - coming) / demand.concurrency))
}
