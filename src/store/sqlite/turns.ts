/**
 * Turns at one file within this process. A transaction spans several microtasks, and SQLite waits for a lock
 * by blocking the thread: against a second handle of the same thread it would wait for itself.
 */
const queues = new Map<string, Promise<void>>()

/** Resolves when all earlier turns at `file` are over. The turn lasts until it is disposed. */
export async function takeTurn(file: string): Promise<Disposable> {
  const before = queues.get(file)
  const { promise, resolve } = Promise.withResolvers<void>()
  queues.set(file, promise)
  await before
  return {
    [Symbol.dispose]() {
      if (queues.get(file) === promise) queues.delete(file)
      resolve()
    },
  }
}
