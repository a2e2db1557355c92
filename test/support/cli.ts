import { PassThrough, Readable, Writable } from 'node:stream'
import type { CommandFactory } from '../../src/cli/command.ts'
import type { Io } from '../../src/cli/io.ts'
import { run } from '../../src/cli/run.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'

export interface CliOptions {
  /** @default an empty input that is a terminal */
  readonly stdin?: string | Readable
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  readonly signal?: AbortSignal
  /** Whether stdout and stderr are terminals. @default false */
  readonly terminal?: boolean
  /** Whether stdin is one. @default without a stdin */
  readonly stdinTerminal?: boolean
  readonly clock?: Clock
  readonly commands?: readonly CommandFactory[]
  /** Sees stdout as it is written. */
  readonly onStdout?: (chunk: string) => void
}

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command line in this process. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { stdin, terminal = false } = options
  const [out, err] = [collect(options.onStdout), collect()]
  const io: Io = {
    stdin:
      stdin === undefined ? new PassThrough() : typeof stdin === 'string' ? Readable.from([stdin]) : stdin,
    stdout: out.stream,
    stderr: err.stream,
    env: options.env ?? {},
    cwd: options.cwd ?? '/',
    signal: options.signal ?? new AbortController().signal,
    isTTY: { stdin: options.stdinTerminal ?? stdin === undefined, stdout: terminal, stderr: terminal },
    clock: options.clock ?? systemClock,
  }
  const code = await run(argv, io, options.commands)
  return { code, stdout: out.text(), stderr: err.text() }
}

function collect(onChunk: (chunk: string) => void = () => {}): { readonly stream: Writable; text(): string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      onChunk(String(chunk))
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}
