import type { Work } from './work.ts'

/** Something in a {@link Heap}, by which it is moved and removed. */
export interface Entry<T> {
  readonly item: T
  /** Where it is; -1 once it has been removed. */
  at: number
}

/**
 * Things in an order that may change: the first is at hand, and whatever changes is put right in O(log n). Who changes
 * what `before` looks at says so by {@link Heap.moved} before anything else is asked of the heap.
 */
export class Heap<T> {
  readonly #entries: Entry<T>[] = []
  readonly #before: (a: T, b: T) => boolean
  readonly #work: Work

  constructor(before: (a: T, b: T) => boolean, work: Work) {
    this.#before = before
    this.#work = work
  }

  get size(): number {
    return this.#entries.length
  }

  get first(): T | undefined {
    return this.#entries[0]?.item
  }

  /** The first that is not `other`, when `other` is the first. */
  firstBut(other: (item: T) => boolean): T | undefined {
    const [first, left, right] = this.#entries
    if (!first || !other(first.item)) return first?.item
    return left && right && this.#goesBefore(right, left) ? right.item : left?.item
  }

  add(item: T): Entry<T> {
    const entry = { item, at: this.#entries.length }
    this.#entries.push(entry)
    this.#rise(entry)
    return entry
  }

  /** Does nothing when it has been removed already. */
  remove(entry: Entry<T>): void {
    const { at } = entry
    if (at < 0) return
    const last = this.#entries.pop() as Entry<T>
    if (last !== entry) {
      this.#put(last, at)
      this.moved(last)
    }
    entry.at = -1
  }

  /** What its order depends on has changed. */
  moved(entry: Entry<T>): void {
    if (entry.at < 0) return
    const { at } = entry
    this.#rise(entry)
    if (entry.at === at) this.#sink(entry)
  }

  /** All, in order, as far as they are asked for. Not to be changed meanwhile. */
  *inOrder(): Generator<T, void> {
    const next = this.#entries.slice(0, 1)
    while (next.length > 0) {
      let best = 0
      for (let i = 1; i < next.length; i++)
        if (this.#goesBefore(next[i] as Entry<T>, next[best] as Entry<T>)) best = i
      const entry = next[best] as Entry<T>
      const [left, right] = this.#entries.slice(2 * entry.at + 1, 2 * entry.at + 3)
      const last = next.pop() as Entry<T>
      if (last !== entry) next[best] = last
      if (left) next.push(left)
      if (right) next.push(right)
      yield entry.item
    }
  }

  #goesBefore(a: Entry<T>, b: Entry<T>): boolean {
    this.#work.steps++
    return this.#before(a.item, b.item)
  }

  #put(entry: Entry<T>, at: number): void {
    this.#entries[at] = entry
    entry.at = at
  }

  #rise(entry: Entry<T>): void {
    let { at } = entry
    while (at > 0) {
      const parent = this.#entries[(at - 1) >> 1] as Entry<T>
      if (!this.#goesBefore(entry, parent)) break
      const above = parent.at
      this.#put(parent, at)
      at = above
    }
    this.#put(entry, at)
  }

  #sink(entry: Entry<T>): void {
    let { at } = entry
    for (;;) {
      const left = this.#entries[2 * at + 1]
      const right = this.#entries[2 * at + 2]
      const child = left && right && this.#goesBefore(right, left) ? right : left
      if (!child || !this.#goesBefore(child, entry)) break
      const below = child.at
      this.#put(child, at)
      at = below
    }
    this.#put(entry, at)
  }
}
