import { type Clock, sleep } from '../../core/clock.ts'
import { formatTable, type Io, paint } from '../io.ts'
import type { NodeFigures } from './figures.ts'

const USUAL_WIDTH = 80
const LONGEST_BAR = 24
const HEADS = ['NODE', 'CALLS', '', 'RUN', 'QUEUE', 'WAIT', 'STARTS'] as const
const BAR = 2

/** Where the demo's story goes: a live table below it on a terminal, plain lines otherwise. */
export class Screen {
  readonly #io: Io
  readonly #stream: 'stdout' | 'stderr'
  /** Lengths of the table's lines that are to be drawn over. */
  #drawn: readonly number[] = []

  /** @param stream `stderr` when stdout belongs to a program */
  constructor(io: Io, stream: 'stdout' | 'stderr') {
    this.#io = io
    this.#stream = stream
  }

  /** A line that stays. */
  say(text: string): void {
    this.#erase()
    this.#write(`${text}\n`)
  }

  title(text: string): void {
    this.say(`\n${paint(this.#io, this.#stream, 'bold', text)}`)
  }

  /** Draws the table again and again while `work` runs, on a terminal. */
  async during<T>(
    work: Promise<T>,
    clock: Clock,
    figures: () => Promise<readonly NodeFigures[]>,
  ): Promise<T> {
    if (!this.#io.isTTY[this.#stream]) return work
    const over = new AbortController()
    const finished = work.finally(() => over.abort())
    finished.catch(() => {}) // awaited at the end
    while (!over.signal.aborted) {
      this.#draw(await figures())
      await sleep(clock, 250, over.signal).catch(() => {})
    }
    this.#draw(await figures())
    this.#drawn = [] // the last one stays
    return finished
  }

  #draw(figures: readonly NodeFigures[]): void {
    const [heads = [], ...rows] = tableOf(figures, this.#width)
    const table = formatTable(this.#io, heads, rows)
    this.#erase()
    this.#write(`${table}\n`)
    this.#drawn = formatTable({ ...this.#io, isTTY: NO_TERMINAL }, heads, rows)
      .split('\n')
      .map(({ length }) => length)
  }

  /** A terminal that has become narrower since has broken the lines. */
  #erase(): void {
    const width = this.#width
    const lines = this.#drawn.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / width)), 0)
    if (lines > 0) this.#write(`\x1b[${lines}A\x1b[J`)
    this.#drawn = []
  }

  get #width(): number {
    const { columns } = this.#io[this.#stream] as { readonly columns?: number }
    return columns !== undefined && columns > 0 ? columns : USUAL_WIDTH
  }

  #write(text: string): void {
    this.#io[this.#stream].write(text)
  }
}

const NO_TERMINAL = { stdin: false, stdout: false, stderr: false }

/** Heads and rows whose lines are shorter than `width`: the bar gives way first, then the columns from the right. */
export function tableOf(figures: readonly NodeFigures[], width: number): string[][] {
  const most = Math.max(1, ...figures.map(({ calls }) => calls))
  const rows = figures.map(({ name, calls, running, queued, waitMs, starts }) => [
    ...[name, String(calls), '', String(running), String(queued)],
    ...[waitMs === undefined ? '–' : `${waitMs.toFixed(0)} ms`, String(starts)],
  ])
  const table = [[...HEADS], ...rows]
  while (lengthOf(table) >= width && (table[0]?.length ?? 0) > 1) for (const row of table) row.pop()
  const bar = Math.min(LONGEST_BAR, width - 1 - lengthOf(table))
  for (const [index, { calls }] of figures.entries()) {
    const row = table[index + 1] as string[]
    if (row.length > BAR) row[BAR] = '█'.repeat(Math.round((calls / most) * bar)).padEnd(bar)
  }
  return table
}

/** Of the longest line, two spaces between its cells. */
function lengthOf(table: readonly (readonly string[])[]): number {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  )
  return widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1))
}
