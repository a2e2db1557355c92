import { type VirtualClock, virtualClock } from '../../src/core/clock.ts'
import { SluiceError } from '../../src/core/errors.ts'
import type { Slot, Ticket } from '../../src/runner/policy/call.ts'
import type { Instance } from '../../src/runner/policy/instance.ts'
import type { SchedulerOptions } from '../../src/runner/policy/options.ts'
import { Scheduler } from '../../src/runner/policy/scheduler.ts'
import type { Start } from '../../src/runner/policy/start.ts'
import type { Resources, Workload } from '../../src/runner/policy/workload.ts'

const MIB = 1024 * 1024

/** A container of the rig: its number. */
export type Body = number

export interface RigOptions extends Partial<SchedulerOptions> {
  /** Milliseconds a start takes; negative = it fails after as long. @default 100 */
  readonly startMs?: (start: Start<Workload, Body>) => number
  /** Milliseconds a container takes to end. @default 0 */
  readonly stopMs?: number
  /** Milliseconds a container takes to wake; negative = it cannot. @default 30 */
  readonly wakeMs?: number
  /** Milliseconds a container takes to be paused. @default 0 */
  readonly pauseMs?: number
  /** MiB of the node. @default 1024 */
  readonly memory?: number
}

/** One call and what became of it. */
export interface RigCall {
  readonly workload: Workload
  readonly arrived: number
  readonly serviceMs: number
  outcome: 'waiting' | 'running' | 'done' | 'refused' | 'left'
  slot: Slot<Workload, Body> | undefined
  error: SluiceError | undefined
  /** Outcomes it was told: never more than one. */
  told: number
  ticket: Ticket<Workload, Body> | undefined
}

export const makeWorkload = (over: Partial<Workload> = {}): Workload => ({
  key: 'f',
  owner: 'app',
  version: '1',
  need: { memory: 128 * MIB, mcpus: 0 },
  concurrency: 1,
  maxConcurrency: 0,
  maxWait: 30_000,
  idleTimeout: 30_000,
  minWarm: 0,
  once: false,
  ...over,
})

/** A scheduler whose containers are numbers on a virtual clock; whatever breaks a promise throws at once. */
export class SchedulerRig {
  readonly clock: VirtualClock = virtualClock()
  readonly scheduler: Scheduler<Workload, Body>
  readonly starts: Start<Workload, Body>[] = []
  readonly live: Set<Instance<Body>> = new Set()
  readonly stopped: Set<Instance<Body>> = new Set()
  readonly paused: Instance<Body>[] = []
  readonly granted: RigCall[] = []
  readonly #options: RigOptions
  readonly #needs = new Map<Instance<Body>, Resources>()
  readonly #gone = new Set<Instance<Body>>()
  #starting = 0
  #startingNeed = { memory: 0, mcpus: 0 }
  #made = 0

  constructor(options: RigOptions = {}) {
    this.#options = options
    const { memory = 1024, wakeMs = 30, pauseMs = 0 } = options
    this.scheduler = new Scheduler(
      { clock: this.clock, total: { memory: memory * MIB, mcpus: 4_000 }, ...options },
      {
        start: (start) => this.#start(start),
        stop: (instance) => this.#stop(instance),
        pause: (instance) => {
          this.paused.push(instance)
          this.clock.after(pauseMs, () => this.scheduler.paused(instance))
        },
        wake: (instance) => {
          this.clock.after(Math.abs(wakeMs), () =>
            wakeMs < 0 ? this.scheduler.lost(instance) : this.scheduler.woken(instance),
          )
        },
      },
    )
  }

  get starting(): number {
    return this.#starting
  }

  /** Sends a call; one with a slot holds it for `serviceMs`. */
  call(workload: Workload, serviceMs: number, deadline?: number): RigCall {
    const arrived = this.clock.now()
    const call: RigCall = {
      workload,
      arrived,
      serviceMs,
      outcome: 'waiting',
      slot: undefined,
      error: undefined,
      told: 0,
      ticket: undefined,
    }
    const slot = this.scheduler.tryAcquire(workload, arrived)
    if (slot) this.#run(call, slot)
    else {
      call.ticket = this.scheduler.enqueue(workload, {
        arrived,
        deadline,
        granted: (granted) => this.#run(call, granted),
        refused: (error) => {
          this.#tell(call, 'refused')
          call.error = error
        },
      })
    }
    return call
  }

  leave(call: RigCall): void {
    if (call.outcome !== 'waiting' || !call.ticket) return
    this.scheduler.leave(call.ticket)
    call.outcome = 'left'
  }

  /** A container ends by itself. */
  crash(instance: Instance<Body>): void {
    if (this.live.has(instance)) this.scheduler.lost(instance)
  }

  /** A container is gone before anybody let go of it. */
  end(instance: Instance<Body>): void {
    if (!this.live.has(instance) || this.stopped.has(instance)) return
    this.live.delete(instance)
    this.#needs.delete(instance)
    this.#gone.add(instance)
    this.scheduler.ended(instance)
  }

  /** @throws Error when what the scheduler counts is not what there is */
  check(): void {
    let memory = this.#startingNeed.memory
    let mcpus = this.#startingNeed.mcpus
    for (const need of this.#needs.values()) {
      memory += need.memory
      mcpus += need.mcpus
    }
    const { used, total } = this.scheduler
    if (used.memory !== memory || used.mcpus !== mcpus)
      throw new Error(`it counts ${JSON.stringify(used)}, there is ${JSON.stringify({ memory, mcpus })}`)
    if (memory > total.memory || mcpus > total.mcpus) throw new Error('more is promised than there is')
  }

  #start(start: Start<Workload, Body>): void {
    this.starts.push(start)
    const { need } = start.pool.workload
    this.#starting++
    this.#startingNeed.memory += need.memory
    this.#startingNeed.mcpus += need.mcpus
    const over = () => {
      this.#starting--
      this.#startingNeed.memory -= need.memory
      this.#startingNeed.mcpus -= need.mcpus
    }
    const ms = this.#options.startMs?.(start) ?? 100
    this.clock.after(Math.abs(ms), () => {
      over()
      if (ms < 0) {
        this.scheduler.failed(start, new SluiceError('init-failed'))
        return
      }
      const now = this.clock.now()
      const body = this.#made++
      const birth = { began: start.began, fetched: start.began, ready: now }
      const instance = this.scheduler.ready(start, body, birth)
      this.live.add(instance)
      this.#needs.set(instance, need)
    })
  }

  #stop(instance: Instance<Body>): void {
    if (this.stopped.has(instance)) throw new Error('a container was stopped twice')
    this.stopped.add(instance)
    if (this.#gone.has(instance)) return
    this.clock.after(this.#options.stopMs ?? 0, () => {
      this.live.delete(instance)
      this.#needs.delete(instance)
      this.scheduler.ended(instance)
    })
  }

  #run(call: RigCall, slot: Slot<Workload, Body>): void {
    this.#tell(call, 'running')
    call.slot = slot
    this.granted.push(call)
    if (slot.instance.running > call.workload.concurrency) throw new Error('a container got too many calls')
    if (slot.instance.state !== 'awake') throw new Error(`a ${slot.instance.state} container got a call`)
    this.clock.after(call.serviceMs, () => {
      call.outcome = 'done'
      this.scheduler.release(slot, true)
    })
  }

  #tell(call: RigCall, outcome: RigCall['outcome']): void {
    if (call.outcome !== 'waiting') throw new Error(`a call that is ${call.outcome} was told ${outcome}`)
    call.told++
    call.outcome = outcome
  }
}
