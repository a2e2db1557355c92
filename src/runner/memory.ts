/** The bytes that containers of this node may be promised. What is taken is given back exactly once. */
export class MemoryBudget {
  readonly total: number
  #used = 0

  /** @param total bytes */
  constructor(total: number) {
    this.total = total
  }

  get used(): number {
    return this.#used
  }

  /** Takes `bytes`, or nothing when they do not fit. Dispose to give them back. */
  take(bytes: number): Disposable | undefined {
    if (this.#used + bytes > this.total) return undefined
    this.#used += bytes
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#used -= bytes
      },
    }
  }
}
