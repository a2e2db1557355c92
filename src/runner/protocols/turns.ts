/** One call's turn to be answered. */
export interface Turn {
  /** Goes with the request. */
  readonly question: string
  /** The container can prove whose an answer is: one that does not is none. */
  readonly proves: boolean
  /** @returns false when the answer may be another call's */
  accepts(answer: unknown): boolean
}

/**
 * Which answers of one container belong to which calls. A request carries a question, `3.CONTAINER`; who answers
 * `CONTAINER.3` has read it. No program says that by accident, and one that repeats what it hears says something else:
 * the bootstrap says it (`fdk/turn.cjs`), where an HTTP server ties answers to requests.
 */
export class Turns {
  readonly #id: string
  #count = 0
  #proven = false

  /** @param id the container's, nobody else's */
  constructor(id: string) {
    this.#id = id
  }

  next(): Turn {
    const count = ++this.#count
    const proves = this.#proven
    return {
      question: `${count}.${this.#id}`,
      proves,
      accepts: (answer) => {
        const own = answer === `${this.#id}.${count}`
        this.#proven ||= own
        return own || !proves
      },
    }
  }
}
