import { type Clock, sleep } from '../core/clock.ts'

/** How long an abort waits until what was begun has been undone; what takes longer is undone in the background. */
const GRACE = 10_000

/**
 * Settles as `work` does. When `signal` aborts first, `work` goes on, since an engine finishes what it has begun
 * whether or not somebody waits: `undo`, if there is anything to take back, does so when it is done. Then this rejects
 * with the signal's reason.
 */
export async function orUndo<T>(
  work: Promise<T>,
  { clock, signal, undo }: { clock: Clock; signal: AbortSignal; undo?: () => Promise<unknown> },
): Promise<T> {
  work.catch(() => {}) // the abort may have come first
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([work, aborted.promise])
  } catch (error) {
    if (!signal.aborted) throw error
    if (undo) await Promise.race([work.then(undo, undo).catch(() => {}), sleep(clock, GRACE)])
    throw signal.reason
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
