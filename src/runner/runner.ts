import { SluiceError } from '../core/errors.ts'
import type { LiveContainer } from './container.ts'
import type { Definition } from './definition.ts'
import { type Call, requestOf } from './function-call.ts'
import type { Slot as PolicySlot, Ticket } from './policy/call.ts'
import type { Instance } from './policy/instance.ts'
import type { PauseRule } from './policy/rest.ts'
import { Scheduler, type Tally } from './policy/scheduler.ts'
import type { Start } from './policy/start.ts'
import type { Resources } from './policy/workload.ts'
import type { Exchange, Receiver } from './protocols/exchange.ts'
import { FailedStart, type StartOptions, type StartOrder, startContainer, startFailure } from './start.ts'
import { recordOf, StartLog, type StartRecord } from './start-log.ts'

export interface RunnerOptions extends StartOptions {
  /** What all containers together may be promised. */
  readonly total: Resources
  /** Containers that are started at the same time; more only slow each other down. @default 2 */
  readonly maxStarts?: number | undefined
  /** Calls that may wait; more are refused at once. @default 10000 */
  readonly maxWaiting?: number | undefined
  /** When idle containers are paused, where the driver can. @default 'adaptive' */
  readonly pause?: PauseRule | undefined
  /** `per-call`: a container for every waiting call, as today's Fn; for comparison. @default 'expected' */
  readonly launch?: 'expected' | 'per-call' | undefined
  /** Largest body of a function's answer in bytes; 0 = no limit. @default 0 */
  readonly maxResponseSize?: number
  /** Told of every start, once it is over. */
  readonly onStart?: (record: StartRecord) => void
}

export type { PauseRule }
export type Slot = PolicySlot<Definition, LiveContainer>

/** A call that asks for a slot. */
export interface Request {
  readonly definition: Definition
  /** When it came to the node (ms of the clock). */
  readonly arrived: number
  /** Until when the caller wants the answer (ms of the clock). */
  readonly deadline?: number | undefined
  /** What a container that is made for this call alone gets to know. */
  readonly environment?: () => Readonly<Record<string, string>>
}

/** What the caller hears: `started` when the call is on its way, then what {@link Receiver} says. */
export interface CallReceiver extends Receiver {
  started(slot: Slot): void
}

/** What a runner says of itself: calls that run and wait now, starts in flight, and what it did since it began. */
export interface RunnerLoad extends Readonly<Tally> {
  readonly run: number
  readonly queue: number
  readonly starting: number
  readonly calls: number
}

/**
 * Runs calls: a {@link Scheduler} decides, the runner carries out. How a container is made is the driver's
 * business, how bytes travel the protocols', what a call means to its client the node's.
 */
export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions
  readonly #scheduler: Scheduler<Definition, LiveContainer>
  readonly #starts = new Map<Start<Definition, LiveContainer>, Promise<void>>()
  readonly #ending = new Set<Promise<unknown>>()
  readonly #log = new StartLog()
  readonly #closing = new AbortController()
  #calls = 0

  constructor(options: RunnerOptions) {
    this.#options = options
    const { clock, total, maxStarts, maxWaiting, launch, driver } = options
    const pause = driver.capabilities.pause ? (options.pause ?? 'adaptive') : 'never'
    this.#scheduler = new Scheduler(
      {
        clock,
        total,
        pause,
        ...(maxStarts !== undefined && { maxStarts }),
        ...(maxWaiting !== undefined && { maxWaiting }),
        ...(launch !== undefined && { launch }),
      },
      {
        start: (start) => this.#start(start),
        stop: (instance) => this.#stop(instance),
        pause: (instance) => this.#answer(instance, instance.body.pause(), 'paused'),
        wake: (instance) => this.#answer(instance, instance.body.wake(), 'woken'),
      },
    )
  }

  get load(): RunnerLoad {
    const { counts, tally, startsInFlight } = this.#scheduler
    return {
      ...tally,
      run: counts.running,
      queue: counts.waiting,
      starting: startsInFlight,
      calls: this.#calls,
    }
  }

  /** What is promised to containers, and what there is. */
  get resources(): { readonly used: Resources; readonly total: Resources } {
    return this.#scheduler
  }

  /** The latest starts: of all functions, or of one. */
  starts(fnId?: string): StartRecord[] {
    return this.#log.latest(fnId)
  }

  /** Idle containers of a function. */
  idle(fnId: string): number {
    return this.#scheduler.pool(fnId)?.idle ?? 0
  }

  /** Calls of a function that run. */
  running(fnId: string): number {
    return this.#scheduler.pool(fnId)?.running ?? 0
  }

  /** Containers and calls by function. */
  *pools(): Generator<{
    readonly definition: Definition
    readonly idle: number
    readonly live: number
    readonly running: number
    readonly waiting: number
  }> {
    for (const { workload, idle, live, running, waiting } of this.#scheduler.pools())
      yield { definition: workload, idle, live, running, waiting }
  }

  /** A slot that is free now, or `undefined`: never starts a container and never waits. */
  tryAcquire(definition: Definition, arrived: number): Slot | undefined {
    return this.#scheduler.tryAcquire(definition, arrived)
  }

  /** Whether an idle container could take one more call without anything being started. */
  hasIdle(definition: Definition): boolean {
    return this.#scheduler.pool(definition.key)?.hasIdleToSpare ?? false
  }

  /** Why a call would be refused that asked for a slot now, if it would. */
  refusal({ definition, arrived, deadline }: Request): SluiceError | undefined {
    return this.#scheduler.refusal(definition, { arrived, deadline })
  }

  /**
   * A slot, when the call's turn comes.
   * @throws SluiceError; the call has not started then
   */
  acquire(request: Request, signal: AbortSignal): Promise<Slot> {
    const { definition, arrived, deadline, environment } = request
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new SluiceError('client-gone'))
      let ticket: Ticket<Definition, LiveContainer> | undefined
      let told = false
      const gone = () => {
        if (ticket) this.#scheduler.leave(ticket)
        reject(new SluiceError('client-gone'))
      }
      const settle = () => {
        told = true
        signal.removeEventListener('abort', gone)
      }
      ticket = this.#scheduler.enqueue(definition, {
        arrived,
        deadline,
        environment,
        granted(slot) {
          settle()
          resolve(slot)
        },
        refused(error) {
          settle()
          reject(error)
        },
      })
      if (!told) signal.addEventListener('abort', gone, { once: true })
    })
  }

  /** Milliseconds that a call of this function which comes now has to wait; `undefined` when nothing is known. */
  predict(definition: Definition): number | undefined {
    return this.#scheduler.predict(definition)
  }

  /** Starts containers ahead of calls until `count` are idle or on their way, as far as there is room for them. */
  prewarm(definition: Definition, count: number): void {
    this.#scheduler.prewarm(definition, count)
  }

  /** Runs a call in a slot, which it gives back. The receiver hears everything; aborting goes through the result. */
  run(slot: Slot, call: Call, receiver: CallReceiver): Exchange {
    const { clock } = this.#options
    const { body: container } = slot.instance
    const { workload: definition } = slot.pool
    if (definition.concurrency === 1) container.begins(call.id)
    this.#calls++
    receiver.started(slot)
    return container.connection.exchange(requestOf(definition, call, this.#options), receiver, {
      clock,
      explain: (error) => container.explain(error),
      settled: (verdict) => {
        container.ends()
        this.#scheduler.release(slot, verdict === 'keep' && !container.gone)
      },
    })
  }

  /** Gives back a slot in which nothing ran. */
  release(slot: Slot): void {
    this.#scheduler.release(slot, !slot.instance.body.gone, false)
  }

  /** The definitions that containers were made from. */
  definitions(): Definition[] {
    return Array.from(this.#scheduler.pools(), ({ workload }) => workload)
  }

  /** Lets go of the containers of a definition that is not in force any more; calls that wait for them are served. */
  retire(definition: Definition): void {
    this.#scheduler.retire(definition)
  }

  /** Stops everything at once: calls that wait get `draining`, containers are ended by force. */
  async [Symbol.asyncDispose](): Promise<void> {
    const error = new SluiceError('draining')
    this.#closing.abort(error)
    this.#scheduler.close(error)
    await Promise.all(this.#starts.values())
    await Promise.all(this.#ending)
  }

  #start(start: Start<Definition, LiveContainer>): void {
    const { clock, makeId } = this.#options
    const abandoned = new AbortController()
    start.onAbandon = () => abandoned.abort(new SluiceError('client-gone'))
    const order: StartOrder = {
      id: makeId(),
      definition: start.pool.workload,
      environment: start.ticket?.waiter.environment?.() ?? {},
    }
    const work = startContainer(
      order,
      this.#options,
      AbortSignal.any([this.#closing.signal, abandoned.signal]),
    )
      .then(
        (container) => {
          const { fetched = start.began } = order
          const birth = { began: start.began, fetched, ready: clock.now() }
          container.why = start.reason
          const instance = this.#scheduler.ready(start, container, birth)
          this.#record(start, order)
          void container.ended.then(() => {
            // A caller may still read what it said before it ended: the call lets go of it then.
            if (instance.running === 0 || start.pool.workload.concurrency > 1) this.#scheduler.lost(instance)
          })
        },
        (error: unknown) => {
          const now = clock.now()
          const birth = { began: start.began, fetched: order.fetched ?? now, ready: now }
          const failure = new FailedStart(startFailure(error), birth)
          this.#record(start, order, failure)
          this.#scheduler.failed(start, failure)
        },
      )
      .finally(() => this.#starts.delete(start))
    this.#starts.set(start, work)
  }

  #record(start: Start<Definition, LiveContainer>, order: StartOrder, error?: SluiceError): void {
    const { clock, log } = this.#options
    const record = recordOf(start, order, clock, error)
    this.#log.add(record)
    this.#options.onStart?.(record)
    log.debug({ start: record }, error ? 'start failed' : 'container ready')
  }

  /** Takes a container away, whoever ended it, and tells the scheduler when nothing of it is left. */
  #stop(instance: Instance<LiveContainer>): void {
    const work = instance.body
      .stop('killed')
      .catch((error: unknown) => this.#options.log.error({ error: String(error) }, 'container not removed'))
      .then(() => {
        this.#ending.delete(work)
        this.#scheduler.ended(instance)
      })
    this.#ending.add(work)
  }

  #answer(instance: Instance<LiveContainer>, work: Promise<void>, done: 'paused' | 'woken'): void {
    work.then(
      () => this.#scheduler[done](instance),
      (error: unknown) => {
        this.#options.log.warn(
          { container_id: instance.body.id, error: String(error) },
          `container could not be ${done}`,
        )
        this.#scheduler.lost(instance)
      },
    )
  }
}
