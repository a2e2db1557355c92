import { type Entry, Heap } from './heap.ts'
import { worthOf } from './rest.ts'
import type { Work } from './work.ts'
import type { Resources } from './workload.ts'

/** What is short: only containers that hold some of it are of use. */
export type Short = keyof Resources

/** The idle containers that one function can spare, as they were when it was last asked; one need, one worth each. */
export interface Spare<P> {
  readonly pool: P
  readonly need: Resources
  /** How many, and how many of them have fallen silent. */
  readonly count: number
  readonly silent: number
  /** Of the one that is worth least: see {@link worthOf}. */
  readonly idleSince: number
  readonly gap: number
  readonly slope: number
}

/** A spare's place on one shelf. */
export interface Shelved<P> {
  readonly row: Heap<Spare<P>>
  readonly inRow: Entry<Spare<P>>
  readonly inRhythm: Entry<Spare<P>>
}

/** Slopes of a row differ by less than a fifth. */
const ROWS_PER_DOUBLING = 4

/**
 * Idle containers by what they are worth, although that changes all the time. What one is worth is 1 ÷ (slope ×
 * max(idle time, gap)), so the least worth of all is the greater of two maxima: slope × gap, which does not change,
 * and slope × idle time, which among equal slopes is the longest idle. Slopes are put into rows of nearly equal ones;
 * there are at most a hundred-odd rows, whatever the number of containers, and usually a handful.
 */
export class Shelf<P> {
  readonly #work: Work
  readonly #rows = new Map<number, Heap<Spare<P>>>()
  readonly #rhythms = new Map<number, Heap<Spare<P>>>()

  constructor(work: Work) {
    this.#work = work
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0
  }

  put(spare: Spare<P>): Shelved<P> {
    const row = rowOf(this.#rows, keyOf(spare), olderFirst, this.#work)
    const rhythm = rowOf(this.#rhythms, kindOf(spare.need), seldomFirst, this.#work)
    return { row, inRow: row.add(spare), inRhythm: rhythm.add(spare) }
  }

  remove(spare: Spare<P>, { row, inRow, inRhythm }: Shelved<P>): void {
    row.remove(inRow)
    this.#rhythms.get(kindOf(spare.need))?.remove(inRhythm)
    if (row.size === 0) this.#rows.delete(keyOf(spare))
  }

  /** The one that is worth least, or at most a fifth more than that, of those that hold what is short. */
  least(short: Short, now: number, except?: P): Spare<P> | undefined {
    let best: Spare<P> | undefined
    const look = (row: Heap<Spare<P>>) => {
      this.#work.steps++
      const spare = row.firstBut(({ pool }) => pool === except)
      if (spare && (!best || worthOf(spare, now) < worthOf(best, now))) best = spare
    }
    for (const [key, row] of this.#rows) if (holds(key % KINDS, short)) look(row)
    for (const [kind, row] of this.#rhythms) if (holds(kind, short)) look(row)
    return best
  }
}

/** Memory, CPUs, both. */
const KINDS = 4
const kindOf = ({ memory, mcpus }: Resources) => (memory > 0 ? 1 : 0) + (mcpus > 0 ? 2 : 0)
const holds = (kind: number, short: Short) => (kind & (short === 'memory' ? 1 : 2)) > 0

/** Never negative: slopes are well above 2⁻¹⁰⁰. */
const keyOf = <P>({ slope, need }: Spare<P>): number =>
  Math.floor(ROWS_PER_DOUBLING * (100 + Math.log2(slope))) * KINDS + kindOf(need)

const olderFirst = <P>(a: Spare<P>, b: Spare<P>) => a.idleSince < b.idleSince
const seldomFirst = <P>(a: Spare<P>, b: Spare<P>) => a.slope * a.gap > b.slope * b.gap

function rowOf<P>(
  rows: Map<number, Heap<Spare<P>>>,
  key: number,
  before: (a: Spare<P>, b: Spare<P>) => boolean,
  work: Work,
): Heap<Spare<P>> {
  const known = rows.get(key)
  if (known) return known
  const row = new Heap<Spare<P>>(before, work)
  rows.set(key, row)
  return row
}
