import { type Clock, sleep } from '../../core/clock.ts'
import { formatTable, type Io, paint } from '../io.ts'
import type { NodeFigures } from './figures.ts'

/** Where the demo's story goes: a live table below it on a terminal, plain lines otherwise. */
export class Screen {
  readonly #io: Io
  readonly #stream: 'stdout' | 'stderr'
  #drawn = 0

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
    this.#drawn = 0 // the last one stays
    return finished
  }

  #draw(figures: readonly NodeFigures[]): void {
    const most = Math.max(1, ...figures.map(({ calls }) => calls))
    const rows = figures.map(({ name, calls, running, queued, waitMs, starts }) => [
      name,
      String(calls),
      '█'.repeat(Math.round((calls / most) * 24)).padEnd(24),
      String(running),
      String(queued),
      waitMs === undefined ? '–' : `${waitMs.toFixed(0)} ms`,
      String(starts),
    ])
    const table = formatTable(this.#io, ['NODE', 'CALLS', '', 'RUN', 'QUEUE', 'WAIT', 'COLD STARTS'], rows)
    this.#erase()
    this.#write(`${table}\n`)
    this.#drawn = rows.length + 1
  }

  #erase(): void {
    if (this.#drawn > 0) this.#write(`\x1b[${this.#drawn}A\x1b[J`)
    this.#drawn = 0
  }

  #write(text: string): void {
    this.#io[this.#stream].write(text)
  }
}
