import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { formatDuration } from '../../core/units.ts'
import { backOff } from './backoff.ts'
import type { Counts, Slot, Ticket, Waiter } from './call.ts'
import type { Instance } from './instance.ts'
import { Instances } from './instances.ts'
import type { Demand } from './launch.ts'
import type { Loss, Past } from './past.ts'
import { type PauseRule, pauseAfter } from './rest.ts'
import type { Start } from './start.ts'
import { splitWait } from './wait.ts'
import type { Workload } from './workload.ts'

/** Milliseconds after its back-off that a function without containers is remembered to fail. */
const REMEMBERED = 60_000

/** What a pool has done by others. */
export interface PoolHands<D extends Workload, B> {
  /** It may want a container, or gave one up. */
  changed(pool: Pool<D, B>): void
  /** For which function the container is given up instead of serving the next call, if for any. */
  claimed(pool: Pool<D, B>, instance: Instance<B>): string | undefined
  stop(instance: Instance<B>): void
  pause(instance: Instance<B>): void
  wake(instance: Instance<B>): void
}

/**
 * The containers and the waiting calls of one function as it is defined now. Calls are served first in, first out;
 * idle containers are used last in, first out, so that surplus ones grow old and go.
 */
export class Pool<D extends Workload, B> {
  readonly workload: D
  readonly past: Past
  /** Starts in flight. */
  readonly starts: Set<Start<D, B>> = new Set()
  /** Containers ordered ahead of any call, still to be started. */
  ahead = 0
  /** Since when (ms) it waits for room that nobody can give up. */
  blockedSince: number | undefined
  readonly #clock: Clock
  readonly #hands: PoolHands<D, B>
  readonly #counts: Counts
  readonly #own: Instances<B>
  readonly #tickets = new Set<Ticket<D, B>>()
  #running = 0
  #retired = false
  #lastGrant = 0
  /** Starts that failed in a row, when the next may be tried, and what calls hear until then. */
  #failures = 0
  #retryAt = 0
  #failure: SluiceError | undefined

  /** @param counts of all pools together; this one adds its own */
  constructor(workload: D, past: Past, clock: Clock, hands: PoolHands<D, B>, counts: Counts) {
    this.#counts = counts
    this.#own = new Instances(workload.concurrency)
    this.workload = workload
    this.past = past
    this.#clock = clock
    this.#hands = hands
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#tickets.size
  }

  /** Containers that no call uses, paused ones too. */
  get idle(): number {
    return this.#own.idle
  }

  get live(): number {
    return this.#own.size
  }

  get retired(): boolean {
    return this.#retired
  }

  get failures(): number {
    return this.#failures
  }

  /** When the call that waits longest came, or `undefined` when none waits. */
  get waitingSince(): number | undefined {
    return this.#first()?.waiter.arrived
  }

  /** Nothing is left of it, nobody waits, and nothing is to be kept warm or remembered: it may be forgotten. */
  get empty(): boolean {
    const wanted = this.#tickets.size + this.#wantedWarm() + this.ahead
    return this.#own.size + this.starts.size + wanted === 0 && !this.#remembersFailure()
  }

  /** Milliseconds until a start may be tried again after those that failed. */
  get backsOffFor(): number {
    return Math.max(0, this.#retryAt - this.#clock.now())
  }

  /** Containers to start ahead of calls: those ordered, and those to be kept warm. */
  get wantedAhead(): number {
    return Math.max(this.ahead, this.#wantedWarm() - this.#own.size - this.starts.size)
  }

  /** @param start expected milliseconds to start a container here */
  demand(start: number): Demand {
    const { concurrency, once } = this.workload
    const starts = once ? this.#bound() : this.starts.size
    const coming = (starts + this.#own.waking) * concurrency
    return {
      waiting: Math.min(this.#tickets.size, this.#mayRunMore()),
      slots: once ? 0 : (this.#own.size - this.#own.waking) * concurrency,
      coming,
      next: coming === 0 ? 0 : this.#nextReady(start),
      service: this.past.service.value,
      busyFor: this.#running > 0 ? this.#clock.now() - this.#lastGrant : 0,
      start,
    }
  }

  /** A slot at once, or `undefined` when the call would have to wait. */
  tryAcquire(arrived: number): Slot<D, B> | undefined {
    return this.#tickets.size === 0 && this.#own.hasFree && this.#mayRun() ? this.#grant(arrived) : undefined
  }

  /** Whether an idle container that nobody else waits for could take one more call, if it must wake for it. */
  get hasIdleToSpare(): boolean {
    return this.#own.idle > this.#tickets.size && this.#mayRun()
  }

  /** The failure that calls hear now instead of waiting, or `undefined` while there is hope. */
  get hopeless(): SluiceError | undefined {
    const wait = this.backsOffFor
    if (wait <= 0 || !this.#failure || this.#own.size + this.starts.size > 0) return undefined
    return new SluiceError(this.#failure.code, this.#failure.message, {
      cause: this.#failure.cause,
      detail: `${this.#failure.detail ?? this.#failure.message}; ${this.#failures} starts failed in a row, the next is tried in ${formatDuration(wait)}`,
      retryAfter: wait,
    })
  }

  /** Puts a call into the queue; it leaves by {@link leave}, or is granted or refused. */
  enqueue(waiter: Waiter<D, B>): Ticket<D, B> {
    const ticket: Ticket<D, B> = { pool: this, waiter, start: undefined, timer: undefined }
    const { maxWait } = this.workload
    const now = this.#clock.now()
    const latest = waiter.arrived + maxWait
    const { deadline = Infinity } = waiter
    ticket.timer = this.#clock.after(Math.min(latest, deadline) - now, () =>
      this.#refuse(
        ticket,
        deadline < latest
          ? new SluiceError('timed-out', undefined, { detail: 'the deadline passed before a slot was free' })
          : new SluiceError('busy', undefined, {
              detail: `waited max_wait = ${maxWait / 1_000} s for a slot`,
            }),
      ),
    )
    this.#tickets.add(ticket)
    this.#counts.waiting++
    this.serve()
    this.#hands.changed(this)
    return ticket
  }

  /** The caller has gone. */
  leave(ticket: Ticket<D, B>): void {
    if (this.#remove(ticket)) this.#hands.changed(this)
  }

  /** Gives a slot back. `keep` = the container may serve again; `ran` = a call used it. */
  release(slot: Slot<D, B>, keep: boolean, ran: boolean): void {
    const { instance } = slot
    this.#running--
    this.#counts.running--
    if (ran) this.past.service.add(this.#clock.now() - slot.granted)
    if (keep && instance.state === 'awake') instance.yieldsTo ??= this.#hands.claimed(this, instance)
    this.#own.give(instance, this.#clock.now(), instance.yieldsTo === undefined)
    if (!keep || this.workload.once) this.discard(instance)
    else if (instance.yieldsTo !== undefined && instance.running === 0)
      this.evict(instance, instance.yieldsTo)
    this.serve()
    this.#hands.changed(this)
  }

  /** The next call that waits and has no container on its way, when each is made for one call. */
  unbound(): Ticket<D, B> | undefined {
    for (const ticket of this.#tickets) if (!ticket.start) return ticket
    return undefined
  }

  started(start: Start<D, B>, instance: Instance<B>): void {
    this.starts.delete(start)
    this.#failures = 0
    this.#retryAt = 0
    this.past.start.add(this.#clock.now() - start.began)
    this.#own.add(instance, this.#clock.now())
    if (start.abandoned) this.discard(instance)
    else if (start.ticket) this.#take(start.ticket)
    else this.serve()
    this.#hands.changed(this)
  }

  /** A start failed: calls that no other container will serve hear the reason. */
  failed(start: Start<D, B>, error: SluiceError): void {
    this.starts.delete(start)
    if (!start.abandoned) {
      this.#failure = error
      this.#retryAt = this.#clock.now() + backOff(++this.#failures)
      if (start.ticket) this.#refuse(start.ticket, error)
      else if (this.#own.size + this.starts.size === 0)
        for (const ticket of [...this.#tickets]) this.#refuse(ticket, error)
    }
    this.#hands.changed(this)
  }

  paused(instance: Instance<B>): void {
    if (instance.state !== 'pausing') return
    instance.state = 'paused'
    this.serve()
    this.#hands.changed(this)
  }

  woken(instance: Instance<B>): void {
    if (instance.state !== 'waking') return
    this.#own.woken(instance, this.#clock.now())
    this.serve()
    this.#hands.changed(this)
  }

  /** It ended by itself, or it cannot be trusted. */
  discard(instance: Instance<B>): void {
    this.#let(instance, 'crashed')
  }

  /** An idle container makes room for another function. */
  evict(instance: Instance<B>, forKey: string): void {
    this.#let(instance, 'evicted', forKey)
  }

  /** Pauses and stops what has been idle long enough. */
  sweep(rule: PauseRule): void {
    const now = this.#clock.now()
    const pauseBefore = now - pauseAfter(rule, this.past.gap.value)
    for (const instance of this.#own.idleOnes()) {
      const isOld = now - instance.idleSince >= this.workload.idleTimeout
      if (isOld && this.#own.size > this.#wantedWarm()) this.#let(instance, 'idle')
      else if (instance.state === 'awake' && instance.idleSince <= pauseBefore && this.#tickets.size === 0) {
        this.#own.rest(instance)
        this.#hands.pause(instance)
      }
    }
  }

  /** The idle containers, the longest idle first. */
  idleInstances(): Instance<B>[] {
    return this.#own.idleOnes()
  }

  /** The function was changed or removed: what waits is still served, then every container goes. */
  retire(): void {
    this.#retired = true
    this.ahead = 0
    this.serve()
  }

  /** Refuses every call that waits and lets go of every container. */
  close(error: SluiceError): void {
    for (const ticket of [...this.#tickets]) this.#refuse(ticket, error)
    for (const start of this.starts) start.abandon()
    for (const instance of [...this.#own]) this.#let(instance, 'idle')
  }

  /** Gives free slots to those who wait and wakes who can help; a retired pool lets go of what nobody waits for. */
  serve(): void {
    if (!this.workload.once) {
      for (const ticket of this.#tickets) {
        if (!this.#own.hasFree || !this.#mayRun()) break
        this.#take(ticket)
      }
      if (this.#tickets.size > 0) this.#wake()
    }
    if (this.#retired && this.#tickets.size === 0)
      for (const instance of this.#own.idleOnes()) this.#let(instance, 'deploy')
  }

  #wake(): void {
    const { concurrency } = this.workload
    while (this.#own.waking * concurrency < Math.min(this.#tickets.size, this.#mayRunMore())) {
      const instance = this.#own.wake(this.#clock.now())
      if (!instance) return
      this.#hands.wake(instance)
    }
  }

  /** Calls that may run beside those that do. */
  #mayRunMore(): number {
    const max = this.workload.maxConcurrency
    return max === 0 ? Infinity : Math.max(0, max - this.#running)
  }

  #mayRun(): boolean {
    return this.#mayRunMore() > 0
  }

  /** How often it failed counts for a while: the next failure must not look like the first. */
  #remembersFailure(): boolean {
    return this.#failures > 0 && this.#clock.now() < this.#retryAt + REMEMBERED
  }

  /** Starts that a call still waits for. */
  #bound(): number {
    let count = 0
    for (const start of this.starts) if (!start.abandoned) count++
    return count
  }

  #wantedWarm(): number {
    return this.#retired ? 0 : this.workload.minWarm
  }

  /** When the next container that starts or wakes is expected, in milliseconds. */
  #nextReady(start: number): number {
    if (this.#own.waking > 0) return 0
    const first: Start<D, B> | undefined = this.starts.values().next().value
    return first ? Math.max(0, start - (this.#clock.now() - first.began)) : 0
  }

  #first(): Ticket<D, B> | undefined {
    return this.#tickets.values().next().value
  }

  #take(ticket: Ticket<D, B>): void {
    this.#tickets.delete(ticket)
    this.#counts.waiting--
    ticket.timer?.[Symbol.dispose]()
    ticket.waiter.granted(this.#grant(ticket.waiter.arrived))
  }

  #refuse(ticket: Ticket<D, B>, error: SluiceError): void {
    if (!this.#remove(ticket)) return
    ticket.waiter.refused(error)
    this.#hands.changed(this)
  }

  #remove(ticket: Ticket<D, B>): boolean {
    if (!this.#tickets.delete(ticket)) return false
    this.#counts.waiting--
    ticket.timer?.[Symbol.dispose]()
    ticket.start?.abandon()
    return true
  }

  #grant(arrived: number): Slot<D, B> {
    const instance = this.#own.take()
    const now = this.#clock.now()
    if (instance.running === 1 && instance.served > 0) this.past.gap.add(now - instance.idleSince)
    this.#running++
    this.#counts.running++
    this.#lastGrant = now
    const cold = instance.served++ === 0
    const wait = splitWait(arrived, now, instance.birth)
    instance.birth = undefined
    return { pool: this, instance, cold, wait, granted: now }
  }

  /** Lets go of a container, once; what was its last says why the next start will be needed. */
  #let(instance: Instance<B>, reason: Loss['reason'], evictedFor?: string): void {
    if (!this.#own.remove(instance)) return
    if (this.#own.size === 0)
      this.past.lost = {
        reason: this.#retired ? 'deploy' : reason,
        at: this.#clock.now(),
        ...(evictedFor !== undefined && { evictedFor }),
      }
    this.#hands.stop(instance)
  }
}
