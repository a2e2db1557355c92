import type { Readable } from 'node:stream'

const MAX_LINE = 16 * 1024
const TAIL = 4 * 1024

/** Takes one line of a function's output; `stream` tells which. */
export type LineSink = (line: string, stream: 'stdout' | 'stderr') => void

/**
 * Reads everything a container prints, so that it never blocks on a full pipe: hands it on line by line
 * (long lines are cut at 16 KiB, the last unterminated one is flushed at the end) and keeps the last 4 KiB.
 */
export class Output {
  #tail = ''

  /** @param stdout absent where it carries the answers */
  constructor(stdout: Readable | undefined, stderr: Readable, sink: LineSink) {
    if (stdout) this.#read(stdout, 'stdout', sink)
    this.#read(stderr, 'stderr', sink)
  }

  /** The last 4 KiB of both streams. */
  get tail(): string {
    return this.#tail
  }

  #read(stream: Readable, name: 'stdout' | 'stderr', sink: LineSink): void {
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      this.#tail = (this.#tail + text).slice(-TAIL)
      const lines = (rest + text).split('\n')
      rest = lines.pop() as string
      for (const line of lines) for (const piece of pieces(line)) sink(piece, name)
      while (rest.length > MAX_LINE) {
        sink(rest.slice(0, MAX_LINE), name)
        rest = rest.slice(MAX_LINE)
      }
    })
    stream.on('end', () => {
      if (rest !== '') sink(rest, name)
      rest = ''
    })
    stream.on('error', () => {}) // The container's end says why.
  }
}

function* pieces(line: string): Generator<string> {
  for (let at = 0; at === 0 || at < line.length; at += MAX_LINE) yield line.slice(at, at + MAX_LINE)
}
