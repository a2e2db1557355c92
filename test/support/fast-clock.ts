import type { Clock } from '../../src/core/clock.ts'

export interface FastClock extends Clock {
  /** Sets the wall clock on by so many milliseconds, or back; nothing else of it moves. */
  jump(ms: number): void
}

/** A clock that runs so many times as fast as the machine's: limits of seconds are over in milliseconds. */
export function fastClock(times: number): FastClock {
  const from = performance.now()
  let wall = Date.now()
  return {
    now: () => performance.now() * times,
    wall: () => wall + (performance.now() - from) * times,
    after(ms, fire) {
      const timer = setTimeout(fire, ms / times).unref()
      return { [Symbol.dispose]: () => clearTimeout(timer) }
    },
    jump(ms) {
      wall += ms
    },
  }
}
