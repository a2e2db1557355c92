import type { Home, Ticket } from './call.ts'
import type { Place } from './line.ts'
import type { StartReason } from './past.ts'
import type { Workload } from './workload.ts'

/** One container on its way; the scheduler is told `ready` or `failed`, exactly once. */
export class Start<D extends Workload, B> {
  readonly pool: Home<D, B>
  readonly reason: StartReason
  /** For whom the function's last container had to go, when `reason` is `evicted`. */
  readonly evictedFor: string | undefined
  /** On the clock (ms). */
  readonly began: number
  /** The call it is made for, when it serves one only. */
  readonly ticket: Ticket<D, B> | undefined
  /** Nobody needs it any more; what it still becomes is thrown away. */
  abandoned = false
  /** Set by who carries it out: told when it is abandoned. */
  onAbandon: (() => void) | undefined
  /** While it counts among the starts in flight: the timer that lets others in although it hangs. */
  gate: Disposable | undefined
  /** Among the starts of its pool. */
  place: Place<Start<D, B>> | undefined

  constructor(
    pool: Home<D, B>,
    began: number,
    why: { readonly reason: StartReason; readonly evictedFor?: string | undefined },
    ticket?: Ticket<D, B>,
  ) {
    this.pool = pool
    this.began = began
    this.reason = why.reason
    this.evictedFor = why.evictedFor
    this.ticket = ticket
  }

  abandon(): void {
    if (this.abandoned) return
    this.abandoned = true
    this.onAbandon?.()
  }
}
