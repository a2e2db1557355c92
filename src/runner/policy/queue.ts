import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Counts, Home, Ticket, Waiter } from './call.ts'
import { Line } from './line.ts'
import type { Workload } from './workload.ts'

/** The calls of one function that wait, first in, first out; each at most as long as it may. */
export class Queue<D extends Workload, B> {
  readonly #home: Home<D, B>
  readonly #clock: Clock
  readonly #counts: Counts
  readonly #late: (ticket: Ticket<D, B>, error: SluiceError) => void
  readonly #tickets = new Line<Ticket<D, B>>()
  readonly #unbound = new Line<Ticket<D, B>>()

  /**
   * @param counts of all queues together; this one adds its own
   * @param late told of a call that has waited as long as it may; it is still in the queue
   */
  constructor(
    home: Home<D, B>,
    clock: Clock,
    counts: Counts,
    late: (ticket: Ticket<D, B>, error: SluiceError) => void,
  ) {
    this.#home = home
    this.#clock = clock
    this.#counts = counts
    this.#late = late
  }

  get size(): number {
    return this.#tickets.size
  }

  get first(): Ticket<D, B> | undefined {
    return this.#tickets.first
  }

  /** The first without a container on its way, when each is made for one call. */
  get unbound(): Ticket<D, B> | undefined {
    return this.#unbound.first
  }

  [Symbol.iterator](): Iterator<Ticket<D, B>> {
    return this.#tickets[Symbol.iterator]()
  }

  join(waiter: Waiter<D, B>): Ticket<D, B> {
    const ticket: Ticket<D, B> = {
      pool: this.#home,
      waiter,
      abandon: undefined,
      timer: undefined,
      place: undefined,
      unbound: undefined,
    }
    ticket.place = this.#tickets.join(ticket)
    if (this.#home.workload.once) ticket.unbound = this.#unbound.join(ticket)
    ticket.timer = this.#limit(ticket)
    this.#counts.waiting++
    return ticket
  }

  /** A container is on its way for it. */
  bind(ticket: Ticket<D, B>, abandon: () => void): void {
    this.#unbound.leave(ticket.unbound)
    ticket.abandon = abandon
  }

  /** @returns false when it is not there any more */
  leave(ticket: Ticket<D, B>): boolean {
    if (!this.#tickets.leave(ticket.place)) return false
    this.#unbound.leave(ticket.unbound)
    this.#counts.waiting--
    ticket.timer?.[Symbol.dispose]()
    return true
  }

  #limit(ticket: Ticket<D, B>): Disposable {
    const { maxWait } = this.#home.workload
    const { arrived, deadline = Infinity } = ticket.waiter
    const latest = arrived + maxWait
    return this.#clock.after(Math.min(latest, deadline) - this.#clock.now(), () =>
      this.#late(
        ticket,
        deadline < latest
          ? new SluiceError('deadline-passed', undefined, {
              detail: "the caller's Fn-Deadline had passed before a slot was free",
            })
          : new SluiceError('busy', undefined, {
              detail: `waited max_wait = ${maxWait / 1_000} s for a slot`,
            }),
      ),
    )
  }
}
