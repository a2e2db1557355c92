import { createInterface } from 'node:readline/promises'
import type { Readable, Writable } from 'node:stream'
import { stripVTControlCharacters, styleText } from 'node:util'
import type { Clock } from '../core/clock.ts'
import { readEnvironment } from '../host/config.ts'

/** Everything a command touches of the process it runs in; tests pass their own. */
export interface Io {
  readonly stdin: Readable
  /** Results only: what a program would read. */
  readonly stdout: Writable
  /** Progress, notes, warnings and the one line of an error. */
  readonly stderr: Writable
  /** @default the process's own */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Relative folders start here. */
  readonly cwd: string
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly isTTY: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  readonly clock: Clock
}

export function print(io: Io, text: string): void {
  io.stdout.write(`${text}\n`)
}

export function printJson(io: Io, value: unknown): void {
  print(io, JSON.stringify(value, null, 2))
}

/** A line for people, beside the result. */
export function note(io: Io, text: string): void {
  io.stderr.write(`${text}\n`)
}

export function warn(io: Io, text: string): void {
  note(io, `${paint(io, 'stderr', 'yellow', 'warning:')} ${text}`)
}

/** Coloured when that stream is a terminal and the environment does not mind. */
export function paint(
  io: Io,
  stream: 'stdout' | 'stderr',
  color: 'red' | 'yellow' | 'green' | 'bold' | 'dim',
  text: string,
): string {
  return io.isTTY[stream] && wantsColor(io) ? styleText(color, text, { validateStream: false }) : text
}

/** `rows` in aligned columns under `heads`, without trailing spaces. */
export function formatTable(io: Io, heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows].map((row) => row.map(printable))
  const widths = heads.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [paint(io, 'stdout', 'bold', lines[0] ?? ''), ...lines.slice(1)].join('\n')
}

/** Text of a server on one line, unable to move a terminal's cursor. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replace(/\s*[\p{Cc}\u2028\u2029]+\s*/gu, ' ')

/** Asks a person. Anything but y or yes, the end of the input included, is a no. */
export async function confirm(io: Io, question: string): Promise<boolean> {
  const lines = createInterface({ input: io.stdin, output: io.stderr })
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  try {
    const asked = lines.question(`${question} [y/N] `, { signal: io.signal })
    return /^\s*y(es)?\s*$/i.test(await Promise.race([asked, closed]))
  } finally {
    lines.close()
  }
}

function wantsColor(io: Io): boolean {
  try {
    return readEnvironment(io.env).color
  } catch {
    return false // whatever is wrong with the environment, the command that needs it says so
  }
}
