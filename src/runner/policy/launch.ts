/** What a function has on this node and what its calls lack, in calls, slots and milliseconds. */
export interface Demand {
  /** Calls that wait for a slot and may run when one is free. */
  readonly waiting: number
  /** Slots of live containers; all of them are in use while calls wait. */
  readonly slots: number
  /** Slots of containers that start or wake. */
  readonly coming: number
  /** Until the next of them is expected. */
  readonly next: number
  /** Expected time a call holds its slot; `undefined` before the first has ended. */
  readonly service: number | undefined
  /** Since a slot was last granted. */
  readonly busyFor: number
  /** Expected time from the decision to start a container until it is ready. */
  readonly start: number
}

/**
 * Whether to start one more container: `'now'`, the milliseconds after which to ask again although nothing
 * happened, or `undefined` (not before something happens).
 *
 * A container that starts counts as so many future slots, so a burst starts at most one container for every
 * `concurrency` waiting calls. Beyond those, one more is started only when it is expected to be ready before the last
 * waiting call would get a slot anyway. So a burst of short first calls starts one container and learns from it how
 * long they take; while that is unknown, the time that the running calls have taken so far stands for it.
 */
export function decideStart(demand: Demand): 'now' | number | undefined {
  const { slots, coming, start, busyFor } = demand
  const uncovered = demand.waiting - coming
  if (uncovered <= 0) return undefined
  if (slots + coming === 0) return 'now'
  if (start < turnOf(demand.waiting, demand)) return 'now'
  if (slots === 0) return undefined
  // Only the time that calls have been running grows by itself: when it will have tipped the balance.
  const tipping =
    coming === 0 || start < demand.next
      ? (start * slots) / demand.waiting
      : (start * (slots + coming) - coming * demand.next) / uncovered
  return Math.max(1, tipping - busyFor + 1)
}

/** A running call that has lasted longer than usual says more than the average does. */
const serviceNow = ({ service = 0, busyFor, slots }: Demand): number =>
  slots > 0 ? Math.max(service, busyFor) : service

/**
 * When the call at `position` in the queue gets a slot, in the fluid limit: `slots` of them serve from now on, a call
 * in its service time each; at `next` those that come take a call each, and serve from then on.
 */
function turnOf(position: number, demand: Demand): number {
  const { slots, coming, next } = demand
  const service = serviceNow(demand)
  const alone = slots === 0 ? Infinity : (position * service) / slots
  if (coming === 0 || alone <= next) return alone
  return Math.max(next, ((position - coming) * service + coming * next) / (slots + coming))
}
