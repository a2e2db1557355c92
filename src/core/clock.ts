/** Time, passed in so that tests and the simulator can hold it. Milliseconds everywhere. */
export interface Clock {
  /** Monotonic, with fractions; only differences mean something. */
  now(): number
  /** Since the epoch. */
  wall(): number
  /** Calls `fire` once after `ms`. Dispose the timer to cancel it. A timer never keeps the process alive. */
  after(ms: number, fire: () => void): Disposable
}

/** What a timer of the system can hold, 24 days: beyond it, it would fire at once. */
const LONGEST = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(0, ms), LONGEST))
    // A browser's timer is a number and keeps nothing alive.
    if (typeof timer === 'object') timer.unref()
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}

/** Calls `fire` after everything that has already happened outside has been heard: a turn of the event loop. */
export function nextTurn(fire: () => void): void {
  setImmediate(fire)
}

/** Keeps the process alive until disposed: for who waits for work that only timers of a {@link Clock} carry on. */
export function stayAlive(): Disposable {
  const timer = setInterval(() => {}, 2 ** 30)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Resolves after `ms`, at once when that is 0; rejects with the signal's reason when that comes first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    if (ms <= 0) return resolve()
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    const abort = () => {
      timer[Symbol.dispose]()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** A signal that aborts with `parent`, or with a `TimeoutError` after `ms`. Dispose it when the wait is over. */
export function limit(
  clock: Clock,
  ms: number,
  parent?: AbortSignal,
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const abort = () => controller.abort(parent?.reason)
  const timer = clock.after(ms, () =>
    controller.abort(new DOMException(`not done after ${ms} ms`, 'TimeoutError')),
  )
  if (parent?.aborted) abort()
  else parent?.addEventListener('abort', abort, { once: true })
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]()
      parent?.removeEventListener('abort', abort)
    },
  }
}

/** A clock that moves only when told to. */
export interface VirtualClock extends Clock {
  /** Moves time on by `ms`, firing every timer that falls due, in order. */
  advance(ms: number): void
}

export function virtualClock(start = 0): VirtualClock {
  let now = start
  let made = 0
  const timers = new Map<number, { readonly at: number; readonly fire: () => void }>()

  const next = (until: number) => {
    let first: [number, { at: number; fire: () => void }] | undefined
    for (const entry of timers)
      if (entry[1].at <= until && (!first || entry[1].at < first[1].at)) first = entry
    return first
  }

  return {
    now: () => now,
    wall: () => now,
    after(ms, fire) {
      const id = made++
      timers.set(id, { at: now + Math.max(0, ms), fire })
      return { [Symbol.dispose]: () => void timers.delete(id) }
    },
    advance(ms) {
      const until = now + ms
      for (let due = next(until); due; due = next(until)) {
        timers.delete(due[0])
        now = due[1].at
        due[1].fire()
      }
      now = until
    },
  }
}
