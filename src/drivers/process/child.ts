import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { type Clock, sleep } from '../../core/clock.ts'
import type { ContainerMode, RunResult, StopReason } from '../driver.ts'
import { holdOutput, type Output } from '../output.ts'
import { killBearers, killTree, signalGroup, untilGone } from '../tree.ts'
import type { Command } from './command.ts'

export interface ChildOptions {
  readonly mode: ContainerMode
  /** Bytes of its log. @default no limit */
  readonly logLimit: number | undefined
  /** Program and arguments that go before the command. */
  readonly prefix: readonly string[]
  /** Of the child from 3 on. */
  readonly stdio: readonly ('ignore' | number)[]
  readonly clock: Clock
  /** Runs once nothing of the child is left running, before `ended` settles. */
  readonly cleanUp: () => Promise<void>
  /** The container's own folder, which its environment names. */
  readonly dir: string
}

/** A process group that runs one command. */
export interface Child {
  readonly pid: number | undefined
  /** On the clock. */
  readonly startedAt: number
  readonly stdin: Writable | undefined
  readonly output: Output
  readonly ended: Promise<RunResult>
  stop(reason: StopReason): Promise<RunResult>
  /** Stops or continues all of it. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
}

/** How long `ended` waits for the output of a process that has exited: another one may hold the pipe. */
const DRAIN = 1_000

/** @throws the system's error when this machine cannot make another process, or has no pipes for it */
export async function startChild(command: Command, options: ChildOptions): Promise<Child> {
  const { clock, logLimit, mode } = options
  const startedAt = clock.now()
  const [program, ...args] = [...options.prefix, ...command.argv] as [string, ...string[]]
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: command.env,
    detached: true, // a process group of its own
    stdio: [mode === 'cold' ? 'pipe' : 'ignore', 'pipe', 'pipe', ...options.stdio],
  })
  const failed = child.pid === undefined ? failureOf(child) : undefined
  if (!child.stdout) throw await failed // there was no pipe for it
  child.stdin?.on('error', () => {}) // it ended without reading all of its input
  const output = holdOutput(child.stdout, child.stderr as Readable, {
    limit: logLimit,
    cold: mode === 'cold',
  })
  const { pid } = child
  let reason: StopReason | undefined
  let over = false

  const kill = (): boolean => {
    if (pid === undefined) return false
    const [family, strays] = [killTree(pid), killBearers(options.dir)]
    return family || strays
  }

  const end = async (): Promise<RunResult> => {
    const drained = new Promise((resolve) => child.once('close', resolve))
    const exit = await exitOf(child)
    over = true
    await untilGone(kill, clock)
    await Promise.race([drained, sleep(clock, DRAIN)])
    output.ended(clock)
    await options.cleanUp()
    return { ...classify(exit, reason), oom: false, startedAt }
  }
  const ended = end()
  const error = await failed
  // With a prefix it is the prefix that is spawned, and that is there: what failed was not the function.
  if (error && (options.prefix.length > 0 || !NOT_THERE.has(error.code ?? ''))) {
    await ended
    throw error
  }

  return {
    pid,
    startedAt,
    stdin: child.stdin ?? undefined,
    output,
    ended,
    stop(why) {
      if (!over) {
        reason ??= why
        kill()
      }
      return ended
    },
    signal(name) {
      if (pid !== undefined && !over) signalGroup(pid, name)
    },
  }
}

async function failureOf(child: ChildProcess): Promise<NodeJS.ErrnoException> {
  const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException]
  return error
}

/** What is the function's fault: no program, none that may be run, or none in its folder. */
const NOT_THERE: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'ENOTDIR', 'ENOEXEC'])

interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** It could not be started at all. */
  readonly error?: string
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    // As a shell says that a program was not found.
    child.once('error', ({ message }) => {
      if (child.pid === undefined) resolve({ code: 127, signal: null, error: message })
    })
  })
}

/** One that ended well just before it was to be stopped has ended well. A signal has a code, as a shell says it. */
function classify(
  exit: Exit,
  reason: StopReason | undefined,
): Pick<RunResult, 'status' | 'exitCode' | 'error'> {
  const { code, signal } = exit
  if (code === 0) return { status: 'success', exitCode: 0 }
  if (reason !== undefined) return { status: reason, ...(code !== null && { exitCode: code }) }
  const exitCode = code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0)
  return { status: 'error', exitCode, error: exit.error ?? `exit code ${exitCode}` }
}
