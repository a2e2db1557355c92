import type { Clock } from '../../core/clock.ts'
import type { SluiceError } from '../../core/errors.ts'
import type { Account } from './account.ts'
import type { Counts, Home, Slot, Ticket, Waiter } from './call.ts'
import { Failures } from './failures.ts'
import { Fleet } from './fleet.ts'
import type { Outlook } from './forecast.ts'
import type { Instance } from './instance.ts'
import type { Past } from './past.ts'
import { Queue } from './queue.ts'
import type { PauseRule } from './rest.ts'
import type { Start } from './start.ts'
import { splitWait } from './wait.ts'
import type { Workload } from './workload.ts'

/** What a pool has done by others. */
export interface PoolHands<D extends Workload, B> {
  /** It may want a container, or gave one up. */
  changed(pool: Pool<D, B>): void
  /** Others than before of its containers are idle. */
  idled(pool: Pool<D, B>): void
  /** For which function the container is given up instead of serving the next call, if for any. */
  claimed(pool: Pool<D, B>, instance: Instance<B>): string | undefined
  stop(instance: Instance<B>): void
  pause(instance: Instance<B>): void
  wake(instance: Instance<B>): void
}

/** What every pool of a node shares. */
export interface PoolContext<D extends Workload, B> {
  readonly clock: Clock
  readonly hands: PoolHands<D, B>
  /** Of all pools together; each adds its own. */
  readonly counts: Counts
}

/**
 * The containers and the waiting calls of one function as it is defined now. Calls are served first in, first out;
 * idle containers are used last in, first out, so that surplus ones grow old and go.
 */
export class Pool<D extends Workload, B> implements Home<D, B> {
  readonly workload: D
  readonly past: Past
  readonly account: Account<Pool<D, B>>
  readonly failures: Failures
  readonly fleet: Fleet<D, B>
  readonly #context: PoolContext<D, B>
  readonly #queue: Queue<D, B>
  #running = 0
  /** Of the calls that run: the sum of the times at which they got their slots. */
  #grantedAt = 0
  #lastGrant = 0

  constructor(workload: D, past: Past, account: Account<Pool<D, B>>, context: PoolContext<D, B>) {
    this.workload = workload
    this.past = past
    this.account = account
    this.#context = context
    const { clock, counts, hands } = context
    this.failures = new Failures(clock)
    this.fleet = new Fleet<D, B>(workload, past, clock, {
      ...hands,
      idled: () => hands.idled(this),
    })
    this.#queue = new Queue(this, clock, counts, (ticket, error) => this.#refuse(ticket, error))
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#queue.size
  }

  /** Containers that no call uses, paused ones too. */
  get idle(): number {
    return this.fleet.instances.idle
  }

  get live(): number {
    return this.fleet.instances.size
  }

  /** When the call that waits longest came, or `undefined` when none waits. */
  get waitingSince(): number | undefined {
    return this.#queue.first?.waiter.arrived
  }

  /** Nothing is left of it, nobody waits, and nothing is to be kept warm or remembered: it may be forgotten. */
  get empty(): boolean {
    const { size, wantedWarm, ahead } = this.fleet
    return size + wantedWarm + ahead + this.#queue.size === 0 && !this.failures.areRemembered
  }

  /** Calls that may run beside those that do. */
  get mayRunMore(): number {
    const max = this.workload.maxConcurrency
    return max === 0 ? Infinity : Math.max(0, max - this.#running)
  }

  /** Whether an idle container that nobody else waits for could take one more call, if it must wake for it. */
  get hasIdleToSpare(): boolean {
    return this.idle > this.#queue.size && this.mayRunMore > 0
  }

  /** The failure that calls hear now instead of waiting, or `undefined` while there is hope. */
  get hopeless(): SluiceError | undefined {
    return this.fleet.size > 0 ? undefined : this.failures.explain()
  }

  /** The next call that waits and has no container on its way, when each is made for one call. */
  get unbound(): Ticket<D, B> | undefined {
    return this.#queue.unbound
  }

  /** @param start expected milliseconds to start a container here */
  demand(start: number): Outlook {
    const { concurrency, once, maxConcurrency } = this.workload
    const now = this.#context.clock.now()
    const { coming, instances } = this.fleet
    return {
      waiting: Math.min(this.#queue.size, this.mayRunMore),
      queued: this.#queue.size,
      slots: (instances.size - instances.waking) * concurrency,
      // Where a container serves one call, the next call in its place waits for another one to start.
      between: once ? start : 0,
      coming: coming * concurrency,
      next: coming === 0 ? 0 : this.fleet.nextReady(start),
      service: this.past.service.value,
      busyFor: this.#running > 0 ? now - this.#lastGrant : 0,
      ranFor: this.#running > 0 ? now - this.#grantedAt / this.#running : 0,
      most: maxConcurrency === 0 ? Infinity : maxConcurrency,
      concurrency,
      start,
    }
  }

  /** A slot at once, or `undefined` when the call would have to wait. */
  tryAcquire(arrived: number): Slot<D, B> | undefined {
    return this.#queue.size === 0 && this.#hasSlot() ? this.#grant(arrived) : undefined
  }

  /** Puts a call into the queue; it leaves by {@link leave}, or is granted or refused. */
  enqueue(waiter: Waiter<D, B>): Ticket<D, B> {
    const ticket = this.#queue.join(waiter)
    this.serve()
    this.#context.hands.changed(this)
    return ticket
  }

  /** The caller has gone. */
  leave(ticket: Ticket<D, B>): void {
    if (!this.#queue.leave(ticket)) return
    ticket.abandon?.()
    this.#context.hands.changed(this)
  }

  /** Gives a slot back. `keep` = the container may serve again; `ran` = a call used it. */
  release(slot: Slot<D, B>, keep: boolean, ran: boolean): void {
    const { clock, counts, hands } = this.#context
    const { instance } = slot
    const now = clock.now()
    this.#running--
    this.#grantedAt -= slot.granted
    counts.running--
    if (ran) this.past.service.add(now - slot.granted)
    if (keep && instance.state === 'awake') instance.yieldsTo ??= hands.claimed(this, instance)
    this.fleet.instances.give(instance, now, instance.yieldsTo === undefined)
    if (!keep || this.workload.once) this.discard(instance)
    else if (instance.yieldsTo !== undefined && instance.running === 0)
      this.evict(instance, instance.yieldsTo)
    this.serve()
    hands.changed(this)
  }

  /** A container is on its way. */
  begin(start: Start<D, B>): void {
    this.fleet.begin(start)
    if (start.ticket) this.#queue.bind(start.ticket, () => this.fleet.abandon(start))
  }

  started(start: Start<D, B>, instance: Instance<B>): void {
    const now = this.#context.clock.now()
    this.fleet.arrive(start)
    this.failures.clear()
    this.past.start.add(now - start.began)
    this.fleet.instances.add(instance, now)
    if (start.abandoned) this.discard(instance)
    else if (start.ticket) this.#take(start.ticket)
    else this.serve()
    this.#context.hands.changed(this)
  }

  /** A start failed: calls that no other container will serve hear the reason. */
  failed(start: Start<D, B>, error: SluiceError): void {
    this.fleet.arrive(start)
    if (!start.abandoned) {
      this.failures.add(error)
      if (start.ticket) this.#refuse(start.ticket, error)
      else if (this.fleet.size === 0) for (const ticket of [...this.#queue]) this.#refuse(ticket, error)
    }
    this.#context.hands.changed(this)
  }

  paused(instance: Instance<B>): void {
    if (!this.fleet.instances.paused(instance)) return
    this.serve()
    this.#context.hands.changed(this)
  }

  woken(instance: Instance<B>): void {
    const now = this.#context.clock.now()
    if (!this.fleet.instances.woken(instance, now)) return
    this.serve()
    if (instance.running === 0) instance.idleSince = now
    this.#context.hands.changed(this)
  }

  /** It ended by itself, or it cannot be trusted. */
  discard(instance: Instance<B>): void {
    this.fleet.let(instance, 'crashed')
  }

  /** An idle container makes room for another function. */
  evict(instance: Instance<B>, forKey: string): void {
    this.fleet.let(instance, 'evicted', forKey)
  }

  /** @returns when to come again (ms of the clock), if nothing happens meanwhile */
  sweep(rule: PauseRule): number {
    return this.idle > 0 ? this.fleet.sweep(rule, this.#queue.size === 0) : Infinity
  }

  /** The function was changed or removed: what waits is still served, then every container goes. */
  retire(): void {
    this.fleet.retired = true
    this.fleet.ahead = 0
    this.#context.hands.idled(this)
    this.serve()
  }

  /** Refuses every call that waits and lets go of every container. */
  close(error: SluiceError): void {
    for (const ticket of [...this.#queue]) this.#refuse(ticket, error)
    this.fleet.close()
  }

  /** Gives free slots to those who wait and wakes who can help; a retired pool lets go of what nobody waits for. */
  serve(): void {
    if (!this.workload.once) {
      for (let ticket = this.#queue.first; ticket && this.#hasSlot(); ticket = this.#queue.first)
        this.#take(ticket)
      if (this.#queue.size > 0) this.fleet.wakeFor(Math.min(this.#queue.size, this.mayRunMore))
    }
    if (this.fleet.retired && this.#queue.size === 0) this.fleet.letIdle()
  }

  #hasSlot(): boolean {
    return this.fleet.instances.hasFree && this.mayRunMore > 0
  }

  #take(ticket: Ticket<D, B>): void {
    this.#queue.leave(ticket)
    ticket.waiter.granted(this.#grant(ticket.waiter.arrived))
  }

  #refuse(ticket: Ticket<D, B>, error: SluiceError): void {
    if (!this.#queue.leave(ticket)) return
    ticket.abandon?.()
    ticket.waiter.refused(error)
    this.#context.hands.changed(this)
  }

  #grant(arrived: number): Slot<D, B> {
    const { clock, counts, hands } = this.#context
    const instance = this.fleet.instances.take()
    const now = clock.now()
    if (instance.running === 1) {
      if (instance.served > 0) this.past.gap.add(now - instance.idleSince)
      hands.idled(this)
    }
    this.#running++
    this.#grantedAt += now
    counts.running++
    this.#lastGrant = now
    const cold = instance.served++ === 0
    const wait = splitWait(arrived, now, instance.birth)
    instance.birth = undefined
    return { pool: this, instance, cold, wait, granted: now }
  }
}
