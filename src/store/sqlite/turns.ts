/** Turns at what one may have at a time, in the order in which they were asked for. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  /**
   * Takes a turn when all earlier ones are over. It lasts until it is disposed.
   * @param within bounds the wait
   */
  async take(within: (wait: Promise<void>) => Promise<void>): Promise<Disposable> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = this.#last
    this.#last = before.then(() => promise)
    try {
      await within(before)
    } catch (error) {
      resolve()
      throw error
    }
    return { [Symbol.dispose]: resolve }
  }
}
