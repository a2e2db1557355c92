import { type Command, InvalidArgumentError, Option } from 'commander'
import { formatDuration, parseDuration } from '../core/units.ts'
import type { Io } from './io.ts'

/**
 * Makes one command of the program. Cheap, since every start makes all of them: an action imports what is heavy.
 * The action returns when the work is done, throws what went wrong, and stops when `io.signal` is aborted.
 */
export type CommandFactory = (io: Io) => Command

/** Ends a command's help with command lines to copy. Every command has some. */
export function withExamples(command: Command, ...lines: readonly string[]): Command {
  const title = lines.length === 1 ? 'Example:' : 'Examples:'
  return command.addHelpText('after', ['', title, ...lines.map((line) => `  $ ${line}`)].join('\n'))
}

/** An option that takes a time, and shows its default (milliseconds) as one would write it. */
export const timeOption = (flags: string, description: string, ms: number): Option =>
  new Option(flags, description)
    .argParser(parseTimeLimit)
    .default(ms, formatDuration(ms).replace(/(?<=m)0s$/, ''))

/** Milliseconds of an option like `30s`, `1m30s` or `30` (seconds). */
function parseTimeLimit(text: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : parseDuration(text)
  if (ms !== undefined && ms > 0 && ms <= 86_400_000) return ms
  throw new InvalidArgumentError('It must be a time above zero and at most 24h, like 30s or 1m30s.')
}

/** A command whose first word says what it works on: `list apps`, `delete trigger`. */
export function groupOf(command: Command, nouns: readonly Command[]): Command {
  for (const noun of nouns) command.addCommand(noun)
  return command
}

/** An option's `KEY=value`, gathered over its repetitions. */
export function gatherConfig(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const cut = text.indexOf('=')
  if (cut < 1 || cut === text.length - 1) throw new InvalidArgumentError('It must look like KEY=value.')
  return { ...before, [text.slice(0, cut)]: text.slice(cut + 1) }
}
