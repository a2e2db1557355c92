import type { Readable } from 'node:stream'
import { SluiceError } from '../core/errors.ts'
import type { Definition } from './definition.ts'
import type { Instance } from './instance.ts'
import { MemoryBudget } from './memory.ts'
import { Pool, type Slot } from './pool.ts'
import { HttpStreamExchange, type Receiver } from './protocols/http-stream.ts'
import { type StartOptions, startFailure, startInstance } from './start.ts'

const MIB = 1024 * 1024

export interface RunnerOptions extends StartOptions {
  /** Bytes that all containers together may be promised. */
  readonly memory: number
  /** Containers that are started at the same time; more only slow each other down. @default 2 */
  readonly maxStarts?: number
  /** Largest body of a function's answer in bytes; 0 = no limit. @default 0 */
  readonly maxResponseSize?: number
}

/** One call: where it came from, what it brings. */
export interface Call {
  readonly id: string
  /** When it arrived at the node (ms of the runner's clock). */
  readonly arrived: number
  /** Raw header pairs for the function, without `Fn-Call-Id` and `Fn-Deadline`. */
  readonly headers: readonly string[]
  readonly body: Readable | undefined
  /** Until when the caller wants the answer (ms since the epoch). */
  readonly deadline: number | undefined
}

/** What the caller hears: `started` when a slot was granted, then what {@link Receiver} says. */
export interface CallReceiver extends Receiver {
  started(slot: Slot): void
}

/** What a runner says of itself: calls that run and wait now; calls and container starts since it began. */
export interface RunnerLoad {
  readonly run: number
  readonly queue: number
  readonly calls: number
  readonly starts: number
}

/**
 * Runs calls: per function a stack of hot containers and a queue, one memory budget and one gate for starts
 * over all of them. How a container is made is the driver's business, what a call means to its client the node's.
 */
export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions
  readonly #memory: MemoryBudget
  readonly #pools = new Map<string, Pool>()
  /** Pools of functions that changed, until their last container is gone. */
  readonly #retired = new Set<Pool>()
  /** Pools that want a container, in the order in which they began to. */
  readonly #hungry = new Set<Pool>()
  readonly #starts = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #startsInFlight = 0
  #running = 0
  #queued = 0
  #calls = 0
  #started = 0
  #sweep: Disposable | undefined

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#memory = new MemoryBudget(options.memory)
  }

  get load(): RunnerLoad {
    return { run: this.#running, queue: this.#queued, calls: this.#calls, starts: this.#started }
  }

  /** Bytes promised to containers, and the budget. */
  get memory(): { readonly used: number; readonly total: number } {
    return this.#memory
  }

  /** Idle containers of a function. */
  idle(fnId: string): number {
    return this.#pools.get(fnId)?.idle ?? 0
  }

  /** Idle containers by function id, functions without any left out. */
  idleByFunction(): Record<string, number> {
    const idle: Record<string, number> = {}
    for (const [id, pool] of this.#pools) if (pool.idle > 0) idle[id] = pool.idle
    return idle
  }

  /** A slot that is free now, or `undefined`: never starts a container and never waits. */
  tryAcquire(definition: Definition, arrived: number): Slot | undefined {
    const slot = this.#pool(definition).tryAcquire(arrived)
    if (slot) this.#running++
    return slot
  }

  /**
   * A slot, when the call's turn comes.
   * @throws SluiceError; the call has not started then
   */
  async acquire(definition: Definition, arrived: number, signal: AbortSignal): Promise<Slot> {
    if (this.#closing.signal.aborted) throw new SluiceError('draining')
    if (definition.fn.memory * MIB > this.#memory.total) {
      throw new SluiceError('too-big-for-node', undefined, {
        detail: `memory = ${definition.fn.memory} MiB exceeds the node's ${Math.floor(this.#memory.total / MIB)} MiB`,
      })
    }
    this.#queued++
    try {
      const slot = await this.#pool(definition).acquire(arrived, signal)
      this.#running++
      return slot
    } finally {
      this.#queued--
    }
  }

  /** Runs a call in a slot, which it gives back. The receiver hears everything; aborting goes through the result. */
  run(slot: Slot, call: Call, receiver: CallReceiver): HttpStreamExchange {
    const { clock } = this.#options
    const { fn } = slot.pool.definition
    const timeoutMs = Math.min(
      fn.timeout * 1_000,
      call.deadline === undefined ? Infinity : call.deadline - clock.wall(),
    )
    if (slot.pool.definition.concurrency === 1) slot.instance.callId = call.id
    this.#calls++
    receiver.started(slot)
    return new HttpStreamExchange(
      slot.instance.dispatcher,
      {
        headers: [
          ...call.headers,
          'Fn-Call-Id',
          call.id,
          'Fn-Deadline',
          formatDeadline(clock.wall() + timeoutMs),
        ],
        body: call.body,
        timeoutMs: Math.max(0, timeoutMs),
        maxResponseSize: this.#options.maxResponseSize ?? 0,
      },
      receiver,
      clock,
      (error) => this.#explain(error, slot.instance),
      (verdict) => this.release(slot, verdict === 'keep'),
    )
  }

  /** Gives back a slot. {@link run} does it by itself. */
  release(slot: Slot, keep: boolean): void {
    this.#running--
    slot.pool.release(slot, keep)
  }

  /** The definitions that containers were made from. */
  definitions(): Definition[] {
    return [...this.#pools.values()].map((pool) => pool.definition)
  }

  /** Lets go of the containers of a definition that is not in force any more; calls that wait for them are served. */
  retire(definition: Definition): void {
    const pool = this.#pools.get(definition.fn.id)
    if (pool?.definition.version === definition.version) this.#retire(pool)
  }

  /** Stops everything at once: calls that wait get `draining`, containers are ended by force. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    const error = new SluiceError('draining')
    this.#closing.abort(error)
    this.#sweep?.[Symbol.dispose]()
    await Promise.all([...this.#pools.values(), ...this.#retired].map((pool) => pool.close(error)))
    await Promise.all(this.#starts)
  }

  #pool(definition: Definition): Pool {
    const { id } = definition.fn
    const known = this.#pools.get(id)
    if (known?.definition.version === definition.version) return known
    if (known) this.#retire(known)
    const pool = new Pool(definition, this.#options.clock, (changed) => this.#changed(changed))
    this.#pools.set(id, pool)
    return pool
  }

  #retire(pool: Pool): void {
    this.#pools.delete(pool.definition.fn.id)
    this.#retired.add(pool)
    pool.retire()
    this.#changed(pool)
  }

  #changed(pool: Pool): void {
    if (pool.wanted > 0) this.#hungry.add(pool)
    if (this.#hungry.size > 0) this.#feed()
    if (this.#retired.has(pool) && pool.empty) this.#retired.delete(pool)
    if (pool.idle > 0 && !this.#sweep) this.#armSweep()
  }

  /** Starts what the gate and the memory allow, one container a pool in turn. */
  #feed(): void {
    const maxStarts = this.#options.maxStarts ?? 2
    for (const pool of this.#hungry) {
      if (this.#startsInFlight >= maxStarts || this.#closing.signal.aborted) return
      this.#hungry.delete(pool)
      if (pool.wanted <= 0) continue
      const memory = this.#takeMemory(pool)
      if (!memory) {
        // Nobody overtakes a function that waits for memory, or a large one would never run.
        const others = [...this.#hungry]
        this.#hungry.clear()
        for (const waiting of [pool, ...others]) this.#hungry.add(waiting)
        return
      }
      this.#launch(pool, memory)
      if (pool.wanted > 0) this.#hungry.add(pool)
    }
  }

  /** Memory for one container of a pool; idle containers of other functions go first, the longest idle before others. */
  #takeMemory(pool: Pool): Disposable | undefined {
    const bytes = pool.definition.fn.memory * MIB
    const taken = this.#memory.take(bytes)
    if (taken) return taken
    // What is stopped gives its memory back when it has ended, and `#changed` comes here again then.
    let coming = 0
    for (;;) {
      const victim = this.#longestIdle(pool)
      if (!victim || this.#memory.used - coming + bytes <= this.#memory.total) return undefined
      coming += victim.definition.fn.memory * MIB * victim.stopIdle(Infinity, 1)
    }
  }

  #longestIdle(except: Pool): Pool | undefined {
    let longest: Pool | undefined
    for (const pool of this.#pools.values()) {
      if (pool === except || pool.oldestIdle === undefined) continue
      if (longest?.oldestIdle === undefined || pool.oldestIdle < longest.oldestIdle) longest = pool
    }
    return longest
  }

  #launch(pool: Pool, memory: Disposable): void {
    const began = this.#options.clock.now()
    this.#startsInFlight++
    this.#started++
    pool.starts()
    const start = startInstance(pool.definition, began, this.#options, this.#closing.signal)
      .then(
        (instance) => {
          void instance.ended.then(() => {
            memory[Symbol.dispose]()
            this.#feed()
          })
          pool.started(instance)
        },
        (error: unknown) => {
          memory[Symbol.dispose]()
          pool.failed(startFailure(error), began)
        },
      )
      .finally(() => {
        this.#startsInFlight--
        this.#starts.delete(start)
        this.#feed()
      })
    this.#starts.add(start)
  }

  /** Adds to a lost connection how the container ended, once that is known; a container that lives on is ended. */
  async #explain(error: SluiceError, instance: Instance): Promise<SluiceError> {
    const { clock } = this.#options
    const late = new Promise<undefined>((resolve) => clock.after(1_000, () => resolve(undefined)))
    const result = await Promise.race([instance.ended, late])
    const why = !result
      ? 'the function dropped its connection'
      : result.oom
        ? 'container out of memory, you may want to raise fn.memory for this function'
        : (result.error ?? `the container ended with status ${result.status}`)
    const tail = instance.output.tail.trimEnd()
    const detail = tail === '' ? why : `${why}; its last output:\n${tail}`
    return new SluiceError(error.code, error.message, { cause: error.cause, detail })
  }

  /** One timer for all idle containers, while there are any. */
  #armSweep(): void {
    const { clock } = this.#options
    this.#sweep = clock.after(250, () => {
      this.#sweep = undefined
      let idle = false
      for (const [id, pool] of this.#pools) {
        pool.stopIdle(clock.now() - pool.definition.fn.idle_timeout * 1_000)
        idle ||= pool.idle > 0
        if (pool.empty) this.#pools.delete(id)
      }
      if (idle) this.#armSweep()
    })
  }
}

/** RFC 3339 in UTC, whole seconds, truncated. */
const formatDeadline = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
