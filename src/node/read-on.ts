import type { IncomingMessage } from 'node:http'
import type { Clock } from '../core/clock.ts'

/** Bytes, and milliseconds. */
const MOST = 1024 * 1024
const LONGEST = 1_000

/**
 * For an answer that is earlier than the end of its request: reads on for a little, so that a sender that reads only
 * between writes meets the answer and not a reset. What is left then is not read.
 * @param over told once: whether the request has ended now
 */
export function readOn(req: IncomingMessage, clock: Clock, over: (ended: boolean) => void): void {
  let left = MOST
  const timer = clock.after(LONGEST, () => finish(false))
  const count = (chunk: Buffer): void => {
    left -= chunk.length
    if (left < 0) finish(false)
  }
  const ended = (): void => finish(true)
  // Whoever carried the body may have given up on it, connection or not.
  const closed = (): void => finish(false)
  const finish = (whole: boolean): void => {
    timer[Symbol.dispose]()
    req.off('data', count).off('end', ended).off('close', closed)
    if (!whole) req.pause()
    over(whole)
  }
  req.on('data', count).on('end', ended).on('close', closed)
  req.resume()
}
