import { Command, CommanderError } from 'commander'
import { ERRORS, messageOf, SluiceError } from '../core/errors.ts'
import type { CommandFactory } from './command.ts'
import { COMMANDS } from './commands.ts'
import { type Io, note, paint, printable } from './io.ts'
import { clientVersion } from './version.ts'

/** The exit code of a command that was interrupted. */
export const INTERRUPTED = 130

/**
 * Runs one command line (without the program's name) and resolves to its exit code (`core/errors.ts`).
 * Never rejects: an error becomes one line on stderr.
 */
export async function run(
  argv: readonly string[],
  io: Io,
  commands: readonly CommandFactory[] = COMMANDS,
): Promise<number> {
  try {
    await makeProgram(io, commands).parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    return explain(error, io)
  }
}

/** The whole program, with its parts writing to `io` and throwing instead of exiting. */
export function makeProgram(io: Io, commands: readonly CommandFactory[] = COMMANDS): Command {
  const program = new Command('sluice')
    .description('Run functions on your own machines; every call goes where it waits least.')
    .version(clientVersion(), '-V, --version', 'print the version of this command line')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ sluice init hello',
        '  $ sluice deploy --app myapp hello',
        '  $ sluice invoke myapp hello',
        '',
        'The server is at FN_API_URL (default http://127.0.0.1:8080); FN_TOKEN is sent to it when set.',
        'Help of one command: sluice <command> --help',
      ].join('\n'),
    )
  for (const make of commands) program.addCommand(make(io))
  settle(program, io)
  return program
}

/** Commander inherits none of this by itself. */
function settle(command: Command, io: Io): void {
  command
    .exitOverride((error) => {
      throw asWrongUse(error, command)
    })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {}, // `explain` says it
    })
  if (command.parent) command.helpCommand(false)
  for (const child of command.commands) settle(child, io)
}

/** Help and versions were asked for, and a verb without its noun has printed its help: these stay as they are. */
function asWrongUse(error: CommanderError, command: Command): Error {
  if (error.exitCode === 0 || error.code === 'commander.help') return error
  const names = [command.name()]
  for (let above = command.parent; above; above = above.parent) names.unshift(above.name())
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\s*\(Did you mean (.*)\?\)$/, '; did you mean $1?')
  const see = /[?.]$/.test(text) ? ' See' : '; see'
  return new SluiceError('invalid', `${text}${see} "${names.join(' ')} --help"`, { cause: error })
}

function explain(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ERRORS.invalid.exit
  if (io.signal.aborted && (error === io.signal.reason || (error as Error).name === 'AbortError')) {
    note(io, `${badge(io)} interrupted`)
    return INTERRUPTED
  }
  if (error instanceof SluiceError) {
    const text = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`
    note(io, `${badge(io)} ${printable(text)}`)
    return ERRORS[error.code].exit
  }
  note(io, `${badge(io)} unexpected error: ${printable(messageOf(error))}; please report it`)
  return ERRORS.internal.exit
}

const badge = (io: Io) => paint(io, 'stderr', 'red', 'sluice:')
