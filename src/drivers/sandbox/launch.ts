import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { messageOf } from '../../core/errors.ts'
import { type ContainerMode, DriverError } from '../driver.ts'
import type { Shield } from '../inherited.ts'
import { ARGS_FD, BLOCK_FD, confinement, FILTER_FD, furniture, type Room, STATUS_FD } from './bubblewrap.ts'
import type { User } from './users.ts'

export interface LaunchOptions {
  readonly bwrap: string
  /** What goes before bubblewrap and becomes it. */
  readonly prefix: readonly string[]
  readonly room: Room
  readonly argv: readonly string[]
  readonly mode: ContainerMode
  /** Who bubblewrap runs as; `undefined` where this process may not choose, and then never root. */
  readonly user: User | undefined
  /** Of system calls. */
  readonly filter: Uint8Array | undefined
  readonly masks: readonly string[]
  readonly inherited: Shield['stdio']
  /** Called with bubblewrap's pid before it makes anything. */
  readonly adopt: (pid: number) => Promise<void> | undefined
}

/** A bubblewrap that makes a container and waits with it until released. */
export interface Launched {
  /** Of bubblewrap itself, which ends with the container. */
  readonly pid: number
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable
  /** The container's first process as this machine counts; `undefined` when it ended before there was one. */
  readonly first: Promise<number | undefined>
  /** Lets the program run, once all is set up. */
  release(): void
  /** Settles when all is set up and the program was let run; `false` when it ended before. */
  readonly entered: Promise<boolean>
  /** Settles when bubblewrap has ended. */
  readonly exit: Promise<Exit>
  /** Settles when nobody holds its output any more. */
  readonly drained: Promise<void>
}

export interface Exit {
  /** Of the program: 128 + n when a signal ended it. Absent when it never ran, or when bubblewrap was killed. */
  readonly exitCode: number | undefined
  /** Bubblewrap was killed, and its container with it. */
  readonly signal: NodeJS.Signals | null
  /** Of a program that never ran: what bubblewrap said about it. */
  readonly complaint: string
}

/**
 * Starts bubblewrap. It makes nothing before it has read its arguments, so what `adopt` did to it by then holds for
 * all that it starts.
 * @throws DriverError `no-room` when this machine cannot start another process, or what `adopt` throws
 */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const { room, filter, masks, adopt } = options
  const child = start(options)
  const pid = await spawned(child)
  const [status, block, args, calls] = [STATUS_FD, BLOCK_FD, ARGS_FD, FILTER_FD].map((fd) =>
    quiet(child.stdio[fd] as Socket),
  ) as [Socket, Socket, Socket, Socket]
  quiet(child.stdin)
  const report = readReport(status)
  const complaint = readComplaint(child.stderr as Readable)
  const launched: Launched = {
    pid,
    stdin: child.stdin ?? undefined,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    first: report.first,
    // One byte, since one is read: closed with a byte unread, it was not let run.
    release: () => void block.write('.'),
    entered: readToEnd(block),
    exit: once(child, 'exit').then(async ([, signal]) => ({
      exitCode: await report.exitCode,
      signal,
      complaint: complaint(),
    })),
    drained: once(child, 'close').then(() => {}),
  }
  try {
    await adopt(pid)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  args.end(`${furniture(room, masks).join('\0')}\0`)
  if (filter) calls.end(filter)
  return launched
}

function start({ bwrap, prefix, room, argv, mode, user, filter, inherited }: LaunchOptions): ChildProcess {
  const [program, ...line] = [
    ...prefix,
    bwrap,
    ...confinement(room, filter !== undefined),
    '--',
    ...argv,
  ] as [string, ...string[]]
  const pipes = ['pipe', 'pipe', 'pipe', filter ? 'pipe' : (inherited[FILTER_FD - 3] ?? 'ignore')] as const
  try {
    return spawn(program, line, {
      ...user,
      env: {},
      cwd: '/',
      detached: true,
      stdio: [
        mode === 'cold' ? 'pipe' : 'ignore',
        'pipe',
        'pipe',
        ...pipes,
        ...inherited.slice(pipes.length),
      ],
    })
  } catch (error) {
    throw noProcess(error)
  }
}

async function spawned(child: ChildProcess): Promise<number> {
  try {
    await once(child, 'spawn')
    return child.pid as number
  } catch (error) {
    throw noProcess(error)
  }
}

const noProcess = (error: unknown): DriverError =>
  new DriverError('no-room', `cannot start a process: ${messageOf(error)}`, { cause: error })

/** It may end without reading what it is given. */
function quiet<T extends Writable | null | undefined>(pipe: T): T {
  pipe?.on('error', () => {})
  return pipe
}

interface Report {
  readonly first: Promise<number | undefined>
  readonly exitCode: Promise<number | undefined>
}

/** JSON documents, in chunks of any size: first the pid, and once the program has ended its exit code. */
function readReport(status: Readable): Report {
  const first = Promise.withResolvers<number | undefined>()
  const exitCode = Promise.withResolvers<number | undefined>()
  let text = ''
  const find = (name: string): number | undefined => {
    const match = new RegExp(`"${name}": *(\\d+)[^\\d]`).exec(text)
    return match ? Number(match[1]) : undefined
  }
  status.on('data', (chunk) => {
    text += chunk
    const pid = find('child-pid')
    if (pid !== undefined) first.resolve(pid)
  })
  status.once('close', () => {
    first.resolve(undefined)
    exitCode.resolve(find('exit-code'))
  })
  return { first: first.promise, exitCode: exitCode.promise }
}

/** Whether the other side closed it having read all. */
function readToEnd(pipe: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    pipe.once('end', () => resolve(pipe.bytesWritten > 0))
    pipe.once('close', () => resolve(false))
    pipe.resume()
  })
}

const COMPLAINT = 512

/** Bubblewrap's last words, when the program never had any. */
function readComplaint(stderr: Readable): () => string {
  let text = ''
  const read = (chunk: Buffer) => {
    text += chunk.toString('utf8', 0, COMPLAINT)
    if (text.length >= COMPLAINT) stderr.off('data', read)
  }
  stderr.on('data', read)
  return () => /^bwrap: (.*)$/m.exec(text)?.[1] ?? ''
}
