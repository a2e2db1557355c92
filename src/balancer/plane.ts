import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Dispatcher } from '../placement/dispatch.ts'
import type { Forwarder } from './forwarder.ts'
import type { FunctionTable } from './functions.ts'
import type { Members } from './members.ts'
import type { Stats } from './stats.ts'

/** What became of a call, as far as its client could see. */
export const OUTCOMES = ['ok', 'function', 'platform', 'refused', 'unplaced', 'lost', 'client'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** What all requests on the data port share. */
export interface Plane {
  readonly members: Members
  /** Places calls. */
  readonly calls: Dispatcher
  /** Takes any node, in turn: for everything that is no call. */
  readonly others: Dispatcher
  readonly functions: FunctionTable
  readonly forwarder: Forwarder
  readonly stats: Stats
  readonly outcomes: Record<Outcome, number>
  readonly clock: Clock
  readonly log: Logger
  readonly makeId: () => string
  /** Bytes; 0 = no limit. */
  readonly maxRequestSize: number
  /** The balancer is closing: connections end with the answer they carry. */
  closing: boolean
}
