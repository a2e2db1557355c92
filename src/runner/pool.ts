import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { Wait } from '../core/headers.ts'
import type { Definition } from './definition.ts'
import type { Instance } from './instance.ts'
import { containersToStart } from './policy/launch.ts'
import { splitWait } from './policy/wait.ts'

/** The right to run one call in a container, granted by a {@link Pool}. Given back with `Pool.release`. */
export interface Slot {
  readonly pool: Pool
  readonly instance: Instance
  readonly wait: Wait
  /** The container had not served before: the call paid for its start, or came for it. */
  readonly cold: boolean
}

interface Waiter {
  readonly arrived: number
  readonly resolve: (slot: Slot) => void
  readonly reject: (error: SluiceError) => void
}

/**
 * The containers and the waiting calls of one function as it is defined now.
 * Idle containers are used last in, first out, so that surplus ones grow old and go; calls are served first in, first out.
 */
export class Pool {
  readonly definition: Definition
  readonly #clock: Clock
  readonly #changed: (pool: Pool) => void
  /** Ready containers with a free slot, the most recently used last. */
  readonly #free: Instance[] = []
  readonly #live = new Set<Instance>()
  readonly #waiters = new Set<Waiter>()
  #starting = 0
  #running = 0
  #idle = 0
  #retired = false
  /** Starts that failed in a row while other containers lived, and when the next may be tried. */
  #failures = 0
  #retryAt = 0

  /** @param changed called when the pool may want a container or gave up some */
  constructor(definition: Definition, clock: Clock, changed: (pool: Pool) => void) {
    this.definition = definition
    this.#clock = clock
    this.#changed = changed
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /** Containers that no call uses. */
  get idle(): number {
    return this.#idle
  }

  /** When its longest idle container became so, or `undefined` when none is idle. */
  get oldestIdle(): number | undefined {
    return this.#free.find((instance) => instance.running === 0)?.idleSince
  }

  /** Nothing is left of it and nobody waits: it may be forgotten. */
  get empty(): boolean {
    return this.#live.size === 0 && this.#starting === 0 && this.#waiters.size === 0
  }

  /** Containers that it wants started now. */
  get wanted(): number {
    if (this.#live.size > 0 && this.#clock.now() < this.#retryAt) return 0
    return containersToStart({
      waiting: this.#waiters.size,
      running: this.#running,
      free: this.#slotsFree(),
      starting: this.#starting,
      concurrency: this.definition.concurrency,
      maxConcurrency: this.definition.fn.max_concurrency,
    })
  }

  /** A slot at once, or `undefined` when the call would have to wait. */
  tryAcquire(arrived: number): Slot | undefined {
    return this.#waiters.size === 0 && this.#mayRun() && this.#free.length > 0
      ? this.#grant(arrived)
      : undefined
  }

  /**
   * A slot when the call's turn comes.
   * @throws SluiceError `busy` after `max_wait`, `client-gone` on abort, or why no container could be started
   */
  acquire(arrived: number, signal: AbortSignal): Promise<Slot> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new SluiceError('client-gone'))
      const leave = (error: SluiceError) => {
        this.#waiters.delete(waiter)
        waiter.reject(error)
      }
      const limit = this.definition.fn.max_wait * 1_000
      const timer = this.#clock.after(limit - (this.#clock.now() - arrived), () =>
        leave(
          new SluiceError('busy', undefined, { detail: `waited max_wait = ${limit / 1_000} s for a slot` }),
        ),
      )
      const gone = () => leave(new SluiceError('client-gone'))
      const settle = () => {
        timer[Symbol.dispose]()
        signal.removeEventListener('abort', gone)
      }
      const waiter: Waiter = {
        arrived,
        resolve(slot) {
          settle()
          resolve(slot)
        },
        reject(error) {
          settle()
          reject(error)
        },
      }
      signal.addEventListener('abort', gone, { once: true })
      this.#waiters.add(waiter)
      this.#serve()
      this.#changed(this)
    })
  }

  /** Gives a slot back. `keep` = the container may serve again. */
  release(slot: Slot, keep: boolean): void {
    const { instance } = slot
    const concurrency = this.definition.concurrency
    this.#running--
    instance.callId = undefined
    const full = instance.running-- === concurrency
    if (!keep) this.#discard(instance)
    if (this.#live.has(instance)) {
      if (full) this.#free.push(instance)
      if (instance.running === 0) this.#rest(instance)
    }
    this.#serve()
    this.#changed(this)
  }

  /** A container is being started for this pool; exactly one of {@link started} and {@link failed} follows. */
  starts(): void {
    this.#starting++
  }

  started(instance: Instance): void {
    this.#starting--
    this.#failures = 0
    this.#live.add(instance)
    this.#free.push(instance)
    this.#rest(instance)
    void instance.ended.then(() => {
      this.#discard(instance)
      this.#changed(this)
    })
    this.#serve()
    this.#changed(this)
  }

  /**
   * A start that began at `began` failed. The calls that waited for it by then get the reason, unless other
   * containers of the function live and will serve them.
   */
  failed(error: SluiceError, began: number): void {
    this.#starting--
    if (this.#live.size > 0) {
      this.#retryAt = this.#clock.now() + Math.min(30_000, 1_000 * 2 ** this.#failures++)
    } else {
      for (const waiter of [...this.#waiters]) {
        if (waiter.arrived > began) continue
        this.#waiters.delete(waiter)
        waiter.reject(error)
      }
    }
    this.#changed(this)
  }

  /** Stops the containers idle since before `before`, at most `most` of them, the longest idle first. */
  stopIdle(before: number, most: number = Infinity): number {
    let stopped = 0
    for (const instance of [...this.#free]) {
      if (stopped >= most) break
      if (instance.running > 0 || instance.idleSince > before) continue
      this.#discard(instance)
      stopped++
    }
    return stopped
  }

  /** The function was changed or removed: what waits is still served, then every container goes. */
  retire(): void {
    this.#retired = true
    this.#serve()
  }

  /** Ends everything now: waiting calls with `error`, containers by force. Resolves when nothing is left running. */
  async close(error: SluiceError): Promise<void> {
    for (const waiter of [...this.#waiters]) {
      this.#waiters.delete(waiter)
      waiter.reject(error)
    }
    const stopped = [...this.#live].map((instance) => instance.stop('cancelled'))
    this.#free.length = 0
    this.#live.clear()
    await Promise.all(stopped)
  }

  #mayRun(): boolean {
    const max = this.definition.fn.max_concurrency
    return max === 0 || this.#running < max
  }

  #slotsFree(): number {
    let slots = 0
    for (const instance of this.#free) slots += this.definition.concurrency - instance.running
    return slots
  }

  /** Gives free slots to those who wait; a retired pool lets go of what nobody waits for. */
  #serve(): void {
    for (const waiter of this.#waiters) {
      if (this.#free.length === 0 || !this.#mayRun()) return
      this.#waiters.delete(waiter)
      waiter.resolve(this.#grant(waiter.arrived))
    }
    if (this.#retired) this.stopIdle(Infinity)
  }

  #rest(instance: Instance): void {
    instance.idleSince = this.#clock.now()
    this.#idle++
  }

  #grant(arrived: number): Slot {
    const instance = this.#free.at(-1) as Instance
    if (instance.running === 0) this.#idle--
    if (++instance.running === this.definition.concurrency) this.#free.pop()
    this.#running++
    const cold = instance.served++ === 0
    const wait = splitWait(arrived, this.#clock.now(), cold ? instance.birth : undefined)
    return { pool: this, instance, cold, wait }
  }

  #discard(instance: Instance): void {
    if (!this.#live.delete(instance)) return
    const at = this.#free.indexOf(instance)
    if (at >= 0) this.#free.splice(at, 1)
    if (instance.running === 0) this.#idle--
    void instance.stop('killed')
  }
}
