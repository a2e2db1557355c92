/** Time, passed in so that tests and the simulator can hold it. Milliseconds everywhere. */
export interface Clock {
  /** Monotonic, with fractions; only differences mean something. */
  now(): number
  /** Since the epoch. */
  wall(): number
  /** Calls `fire` once after `ms`. Dispose the timer to cancel it. A timer never keeps the process alive. */
  after(ms: number, fire: () => void): Disposable
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fire) {
    const timer = setTimeout(fire, ms)
    // A browser's timer is a number and keeps nothing alive.
    if (typeof timer === 'object') timer.unref()
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}

/** Resolves after `ms`; rejects with the signal's reason when that comes first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
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
