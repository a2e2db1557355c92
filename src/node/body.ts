import type { IncomingMessage } from 'node:http'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'

/** Bytes of a body that must be here before its call may hold a slot, unless the body is smaller. */
export const BEGINNING: number = 64 * 1024

/** How a body comes in: `here` ends it, and so does `late`. */
export interface BodyListener {
  /** The body is whole, or so much of it is here that its call may hold a slot. */
  here(): void
  /** It did not come with its head, and is waited for. */
  coming(): void
  late(error: SluiceError): void
}

/**
 * Waits for a body without reading it: it stays in the stream, whose own limit holds a faster sender up. A caller who
 * sends slowly costs a connection, and no slot that another call could have.
 * @param enough bytes, at most {@link BEGINNING}
 * @param limit milliseconds
 */
export function awaitBeginning(
  req: IncomingMessage,
  enough: number,
  clock: Clock,
  limit: number,
  listener: BodyListener,
): Disposable {
  let over = false
  let timer: Disposable | undefined
  const isHere = () => req.complete || req.readableLength >= enough
  const stop = () => {
    over = true
    timer?.[Symbol.dispose]()
    req.off('readable', look)
  }
  const look = () => {
    if (over || !isHere()) return
    stop()
    // A stream that is not watched any more says so a tick later; until then nobody else can read it.
    process.nextTick(listener.here)
  }
  // What came in one piece with the head is in the stream after this tick.
  process.nextTick(() => {
    if (over) return
    if (isHere()) {
      over = true
      listener.here()
      return
    }
    timer = clock.after(limit, () => {
      stop()
      listener.late(late(`its first ${enough} bytes, or all of it, were not here`, limit))
    })
    req.on('readable', look)
    listener.coming()
  })
  return { [Symbol.dispose]: stop }
}

/**
 * Tells once when no byte of a body has come for `limit` milliseconds (or a little longer, less than twice that) though
 * it was wanted: a function that does not read is not its caller's fault.
 */
export function watchBody(
  req: IncomingMessage,
  clock: Clock,
  limit: number,
  still: (error: SluiceError) => void,
): Disposable | undefined {
  if (req.complete) return undefined
  const { socket } = req
  let seen = socket.bytesRead
  const look = () => {
    if (req.complete || req.destroyed) return
    const wanted = !req.isPaused() && req.readableLength === 0
    if (wanted && socket.bytesRead === seen) still(late('no byte of it came', limit))
    else {
      seen = socket.bytesRead
      timer = clock.after(limit, look)
    }
  }
  let timer = clock.after(limit, look)
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() }
}

const late = (what: string, limit: number) =>
  new SluiceError('body-late', undefined, {
    detail: `the body stood still: ${what} after ${limit / 1_000} s (FN_BODY_TIMEOUT_MSECS)`,
  })
