import type { SluiceError } from '../../core/errors.ts'
import type { Wait } from '../../core/headers.ts'
import type { Instance } from './instance.ts'
import type { Pool } from './pool.ts'
import type { Start } from './start.ts'
import type { Workload } from './workload.ts'

/** The right to run one call in a container. Given back with `Pool.release`. */
export interface Slot<D extends Workload, B> {
  readonly pool: Pool<D, B>
  readonly instance: Instance<B>
  readonly wait: Wait
  /** The container had not served before: the call paid for its start, or came for it. */
  readonly cold: boolean
  /** On the clock (ms). */
  readonly granted: number
}

/** A call that waits: exactly one of `granted` and `refused` is told, once. */
export interface Waiter<D extends Workload, B> {
  /** When it came to the node (ms of the clock). */
  readonly arrived: number
  /** When it must have started (ms of the clock), whatever its function allows. */
  readonly deadline?: number | undefined
  /** What a container that is made for this call alone gets to know. */
  readonly environment?: (() => Readonly<Record<string, string>>) | undefined
  granted(slot: Slot<D, B>): void
  /** The call has not started. */
  refused(error: SluiceError): void
}

/** A waiter's place in its queue. */
export interface Ticket<D extends Workload, B> {
  readonly pool: Pool<D, B>
  readonly waiter: Waiter<D, B>
  /** The container that is made for this call alone. */
  start: Start<D, B> | undefined
  timer: Disposable | undefined
}

/** Calls of a node. */
export interface Counts {
  running: number
  waiting: number
}
