import { readdirSync, readFileSync } from 'node:fs'
import { type Clock, systemClock } from '../core/clock.ts'

/** How many more files, connections and pipes this process may open. */
export interface Descriptors {
  /** Infinite where the system does not tell. */
  readonly limit: number
  /** So few are left that what is under way needs them: nothing new should begin. Cheap to ask. */
  short(): boolean
}

export interface DescriptorSources {
  readonly clock: Clock
  /** The text of `/proc/self/limits`. */
  readonly limits: () => string
  /** How many are open. */
  readonly open: () => number
}

/** A count is believed for this long, and for so many questions: each may open some. */
const BELIEVED_MS = 50
const BELIEVED_ASKS = 16
/** What is kept back: a container that starts takes about ten, a call through a balancer of this process three. */
const KEPT = 1 / 4

/**
 * The limit is the hard one: Node raises the soft one to it when it starts. At three quarters of it nothing new
 * begins, so that calls which run, containers which start, the database and the log get what they need.
 */
export function descriptors(sources: DescriptorSources): Descriptors {
  const { clock, limits, open } = sources
  const limit = limitIn(limits)
  const most = Math.floor(limit * (1 - KEPT))
  let counted = 0
  let at = Number.NEGATIVE_INFINITY
  let asks = 0
  return {
    limit,
    short() {
      if (limit === Number.POSITIVE_INFINITY) return false
      if (++asks >= BELIEVED_ASKS || clock.now() - at >= BELIEVED_MS) {
        counted = open()
        at = clock.now()
        asks = 0
      }
      return counted + asks >= most
    },
  }
}

/** Of this process. */
export const systemDescriptors: Descriptors = descriptors({
  clock: systemClock,
  limits: () => readFileSync('/proc/self/limits', 'latin1'),
  open: () => countOpen(),
})

function limitIn(limits: () => string): number {
  try {
    const [, soft] = /^Max open files +(\d+) /m.exec(limits()) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** When there is none left even to look, all are open. */
function countOpen(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
