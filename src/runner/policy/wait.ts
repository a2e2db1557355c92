import type { Wait } from '../../core/headers.ts'

/** When a container was fetched, started and became ready (ms on one clock). */
export interface Birth {
  readonly began: number
  readonly fetched: number
  readonly ready: number
}

/**
 * Splits a wait into its clocks: what overlaps the fetch and the start of the container that the call was the
 * first to use is theirs, the rest was spent in the queue. The three always add up to the whole wait.
 */
export function splitWait(arrived: number, granted: number, birth: Birth | undefined): Wait {
  const total = Math.max(0, granted - arrived)
  if (birth === undefined) return { queue: total, start: 0, fetch: 0 }
  const fetch = overlap(arrived, granted, birth.began, birth.fetched)
  const start = overlap(arrived, granted, birth.fetched, birth.ready)
  return { queue: Math.max(0, total - fetch - start), start, fetch }
}

const overlap = (a: number, b: number, c: number, d: number) => Math.max(0, Math.min(b, d) - Math.max(a, c))
