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
  /** A heap, the first to fire at its top. Disposed ones stay until they come up. */
  const timers: VirtualTimer[] = []

  return {
    now: () => now,
    wall: () => now,
    after(ms, fire) {
      const timer: VirtualTimer = { at: now + Math.max(0, ms), turn: made++, fire }
      push(timers, timer)
      return {
        [Symbol.dispose]: () => {
          timer.fire = undefined
        },
      }
    },
    advance(ms) {
      const until = now + ms
      for (let due = timers[0]; due && due.at <= until; due = timers[0]) {
        pop(timers)
        if (!due.fire) continue
        now = due.at
        due.fire()
      }
      now = until
    },
  }
}

interface VirtualTimer {
  readonly at: number
  readonly turn: number
  /** `undefined` once it is disposed. */
  fire: (() => void) | undefined
}

const isSooner = (a: VirtualTimer, b: VirtualTimer) => a.at < b.at || (a.at === b.at && a.turn < b.turn)

function push(timers: VirtualTimer[], timer: VirtualTimer): void {
  let at = timers.length
  for (; at > 0; at = (at - 1) >> 1) {
    const parent = timers[(at - 1) >> 1] as VirtualTimer
    if (!isSooner(timer, parent)) break
    timers[at] = parent
  }
  timers[at] = timer
}

function pop(timers: VirtualTimer[]): void {
  const last = timers.pop()
  if (!last || timers.length === 0) return
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    const [a, b] = [timers[left], timers[left + 1]]
    const child = a && b && isSooner(b, a) ? left + 1 : left
    const next = timers[child]
    if (!next || !isSooner(next, last)) break
    timers[at] = next
    at = child
  }
  timers[at] = last
}
