interface Flight<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  waiting: number
}

/**
 * Does the same work once for all who ask for it at the same time. One who aborts leaves; when nobody is left the
 * work is aborted, and the last one leaves after it has ended.
 */
export function singleFlight<T>(): (
  key: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
) => Promise<T> {
  const flights = new Map<string, Flight<T>>()

  const begin = (key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const controller = new AbortController()
    const flight = { result: work(controller.signal), controller, waiting: 0 }
    const end = () => void (flights.get(key) === flight && flights.delete(key))
    flight.result.then(end, end)
    flights.set(key, flight)
    return flight
  }

  return async (key, work, signal) => {
    signal.throwIfAborted()
    const flight = flights.get(key) ?? begin(key, work)
    flight.waiting++
    try {
      return await unlessAborted(flight.result, signal)
    } finally {
      if (--flight.waiting === 0) {
        if (flights.get(key) === flight) flights.delete(key)
        flight.controller.abort(signal.reason)
        await flight.result.catch(() => {})
      }
    }
  }
}

function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
