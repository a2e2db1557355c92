import { type Clock, limit } from '../../core/clock.ts'

/** @throws Error when `promise` has not settled after `ms` */
export async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T> {
  using timer = limit(clock, ms)
  const { promise: late, reject } = Promise.withResolvers<never>()
  timer.signal.addEventListener('abort', () => reject(timer.signal.reason), { once: true })
  return await Promise.race([promise, late])
}
