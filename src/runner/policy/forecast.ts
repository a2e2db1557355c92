import type { Demand } from './launch.ts'

/** What decides how long a call that comes now has to wait, in calls, slots and milliseconds. */
export interface Outlook extends Demand {
  /** All calls that wait, those too that may not run yet. */
  readonly queued: number
  /** Since the calls that run got their slots, on average. */
  readonly ranFor: number
  /** From the end of a call until the next may start in its slot. */
  readonly between: number
  /** Calls that may run at once. */
  readonly most: number
  /** Slots of one more container. */
  readonly concurrency: number
}

/** The containers that could be started for calls that wait. */
export interface Supply {
  readonly containers: number
  /** Milliseconds until so many of them are ready, started now. */
  readonly readyIn: (containers: number) => number
}

export const NOTHING_MORE: Supply = { containers: 0, readyIn: () => Infinity }

/** Slots that serve a call in every service time, from a time on (ms). */
interface Servers {
  readonly from: number
  /** Calls that have got a slot of these at time t: rate × t + base. */
  readonly rate: number
  readonly base: number
}

/**
 * Milliseconds that a call which comes now has to wait, or `undefined` when nothing is known yet. Never more calls
 * run than may, and no more containers are counted on than there is room for. Within half a usual run time, when
 * calls last as long as usual.
 */
export function predictWait(outlook: Outlook, supply: Supply): number | undefined {
  const { queued, concurrency, most, next } = outlook
  const position = queued + 1
  const slots = Math.min(outlook.slots, most)
  const coming = Math.min(outlook.coming, most - slots)
  const wanted = Math.ceil(Math.max(0, Math.min(position, most - slots) - coming) / concurrency)
  const containers = Math.min(supply.containers, wanted)
  const more = Math.min(containers * concurrency, most - slots - coming)
  if (slots + coming + more === 0) return undefined
  const isCovered = coming + more >= position
  if (outlook.service === undefined) {
    if (position <= coming) return next
    return slots + coming === 0 && isCovered ? supply.readyIn(containers) : undefined
  }
  const run = Math.max(outlook.service, slots > 0 ? outlook.busyFor : 0, Number.EPSILON)
  const service = run + outlook.between
  const servers = [
    ...(slots > 0 ? [running(slots, service, Math.max(0, service - outlook.ranFor))] : []),
    ...(coming > 0 ? [joining(coming, service, next)] : []),
    // The last of them is for this call when there is one for everybody; else they matter by their mean.
    ...(more > 0
      ? [joining(more, service, supply.readyIn(isCovered ? containers : (containers + 1) / 2))]
      : []),
  ].sort((a, b) => a.from - b.from)
  return turnOf(position, servers)
}

/** Slots in use, each for `left` more on average: the first is free before that, since they do not end all at once. */
function running(slots: number, service: number, left: number): Servers {
  const rate = slots / service
  const base = slots - rate * left - (slots - 1) / 2
  return { from: Math.max(0, -base / rate), rate, base }
}

const joining = (slots: number, service: number, from: number): Servers => ({
  from,
  rate: slots / service,
  base: slots * (1 - from / service),
})

/** When the call at `position` in the queue gets a slot, in the fluid limit. */
function turnOf(position: number, servers: readonly Servers[]): number {
  let [rate, base] = [0, 0]
  for (const [index, group] of servers.entries()) {
    rate += group.rate
    base += group.base
    const turn = Math.max(group.from, (position - base) / rate)
    if (turn <= (servers[index + 1]?.from ?? Infinity)) return turn
  }
  return Infinity
}
