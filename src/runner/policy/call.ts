import type { SluiceError } from '../../core/errors.ts'
import type { Wait } from '../../core/headers.ts'
import type { Instance } from './instance.ts'
import type { Place } from './line.ts'
import type { Workload } from './workload.ts'

/** Where slots and tickets go back to: the pool that gave them. */
export interface Home<D extends Workload, B> {
  readonly workload: D
  /** Its containers that no call uses, and its calls that wait. */
  readonly idle: number
  readonly waiting: number
  release(slot: Slot<D, B>, keep: boolean, ran: boolean): void
  leave(ticket: Ticket<D, B>): void
}

/** The right to run one call in a container. Given back with `Scheduler.release`. */
export interface Slot<D extends Workload, B> {
  readonly pool: Home<D, B>
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
  readonly pool: Home<D, B>
  readonly waiter: Waiter<D, B>
  /** Tells that the container that is made for this call alone is not needed any more. */
  abandon: (() => void) | undefined
  timer: Disposable | undefined
  place: Place<Ticket<D, B>> | undefined
  /** Among those without a container on its way, where each call gets its own. */
  unbound: Place<Ticket<D, B>> | undefined
}

/** Calls of a node. */
export interface Counts {
  running: number
  waiting: number
}
