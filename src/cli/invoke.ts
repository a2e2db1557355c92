import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { first, HEADER } from '../core/headers.ts'
import type { Answer } from './client.ts'
import { type CommandFactory, timeOption, withExamples } from './command.ts'
import { type Io, note } from './io.ts'
import { withClient } from './with-client.ts'

interface Options {
  readonly contentType?: string
  readonly displayCallId?: boolean
  readonly include?: boolean
  readonly timeout: number
}

/** Longer than the longest execution and the longest wait together. */
const TIME_LIMIT = 600_000

export const invokeCommand: CommandFactory = (io) =>
  withExamples(
    new Command('invoke')
      .description(
        'call a function; its input is read from stdin unless that is a terminal. The answer goes to stdout, also ' +
          'one of which the function says that it failed (its own status is 400 or more); the exit code is 6 then, ' +
          'as it is when the function threw. A trigger answers its caller with that status',
      )
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .option('--content-type <type>', 'of the input (default: content_type of ./func.yaml, else text/plain)')
      .option('--display-call-id', "print the call's id on stderr")
      .option('-i, --include', 'print status and headers before the answer')
      .addOption(timeOption('--timeout <time>', 'give up after this time', TIME_LIMIT))
      .action(invoke.bind(undefined, io)),
    'sluice invoke myapp hello',
    'echo \'{"name":"Ada"}\' | sluice invoke myapp hello --content-type application/json',
  )

async function invoke(io: Io, appName: string, fnName: string, options: Options): Promise<void> {
  const type = options.contentType ?? (await contentTypeOf(io, fnName)) ?? 'text/plain'
  await withClient(io, async (client) => {
    const fn = await client.fn(await client.app(appName), fnName)
    const body = io.isTTY.stdin ? undefined : await waitForInput(io)
    const call = { body, headers: { 'content-type': type }, timeLimit: options.timeout }
    await client.invoke(client.invokeUrl(fn), call, (answer) => show(io, answer, options))
  })
}

/**
 * Stdin once it holds something, or nothing when it ended empty. The request starts with its first byte:
 * a connection opened earlier would idle until then, and servers cut idle connections.
 */
async function waitForInput({ stdin, signal }: Io): Promise<Readable | undefined> {
  if (stdin.readableLength === 0 && !stdin.readableEnded) {
    const seen = new AbortController()
    const options = { signal: AbortSignal.any([signal, seen.signal]) }
    // An empty stream that ended before anybody listened says `end` alone.
    await Promise.race([once(stdin, 'readable', options), once(stdin, 'end', options)])
    seen.abort()
  }
  const start = stdin.read()
  if (start === null) return undefined
  stdin.unshift(start)
  return stdin
}

async function show(io: Io, answer: Answer, { include, displayCallId }: Options): Promise<void> {
  const callId = first(answer.headers[HEADER.callId])
  if (displayCallId) note(io, `Call ID: ${callId ?? 'unknown'}`)
  if (include) io.stdout.write(formatHead(answer))
  if (answer.status >= 400) await fail(answer, callId)
  await print(io, answer.body)
  const own = Number(first(answer.headers[HEADER.httpStatus]) ?? 200)
  if (own >= 400)
    throw new SluiceError('function-failed', `the function answered with status ${own}`, {
      detail: callId && `call ${callId}`,
    })
}

/** The answer as it is; on a terminal the prompt gets a line of its own. */
async function print(io: Io, body: Readable): Promise<void> {
  let last: number | undefined
  await pipeline(
    body,
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        last = chunk.at(-1) ?? last
        yield chunk
      }
    },
    io.stdout,
    { end: false },
  )
  if (io.isTTY.stdout && last !== undefined && last !== 0x0a) io.stdout.write('\n')
}

/** What the server says about a failed call, with the call's id to look it up by. */
async function fail(answer: Answer, callId: string | undefined): Promise<never> {
  const { failureOf } = await import('./failure.ts')
  const failure = failureOf(answer.status, await answer.body.text(), 'function-failed')
  const details = [failure.detail, callId && `call ${callId}`].filter(Boolean).join(' · ')
  throw new SluiceError(failure.code, `${failure.message} (status ${answer.status})`, {
    detail: details || undefined,
  })
}

function formatHead({ status, headers }: Answer): string {
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values ?? []].flat().map((value) => `${name}: ${value}\n`),
  )
  return `HTTP/1.1 ${status}\n${lines.join('')}\n`
}

/** The func file of the current folder counts when it is this function's. */
async function contentTypeOf(io: Io, fnName: string): Promise<string | undefined> {
  const { readFuncFile } = await import('./func-file.ts')
  const read = await readFuncFile(io.cwd).catch(() => undefined)
  return read?.func.name === fnName ? read.func.content_type : undefined
}
