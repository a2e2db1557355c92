/** Somebody's place in a {@link Line}. */
export interface Place<T> {
  readonly item: T
  before: Place<T> | undefined
  after: Place<T> | undefined
  left: boolean
}

/** A line in which everybody joins at the end and may leave from anywhere, at once however long it is. */
export class Line<T> {
  #first: Place<T> | undefined
  #last: Place<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#first?.item
  }

  get last(): T | undefined {
    return this.#last?.item
  }

  join(item: T): Place<T> {
    const place: Place<T> = { item, before: this.#last, after: undefined, left: false }
    if (this.#last) this.#last.after = place
    else this.#first = place
    this.#last = place
    this.#size++
    return place
  }

  /** @returns false when there is no place, or it has been left already */
  leave(place: Place<T> | undefined): boolean {
    if (!place || place.left) return false
    place.left = true
    if (place.before) place.before.after = place.after
    else this.#first = place.after
    if (place.after) place.after.before = place.before
    else this.#last = place.before
    this.#size--
    return true
  }

  /** From the first to the last; who is looked at may leave. */
  *[Symbol.iterator](): Generator<T, void> {
    for (let place = this.#first; place; ) {
      const { after } = place
      yield place.item
      place = after
    }
  }
}
