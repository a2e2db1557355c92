import {
  closeSync,
  constants,
  type FSWatcher,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  watch,
} from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { DriverError, type RunResult, StartError, type StopReason } from './driver.ts'

/** The name whose appearance says that a function listens. */
export const SOCKET_NAME = 'lsnr.sock'

/** A path to connect to that means one socket, whatever becomes of its name, until it is disposed. */
export interface PinnedSocket extends Disposable {
  readonly path: string
}

/** What waiting for a socket needs to know of the container that shall make it. */
export interface Starting {
  readonly ended: Promise<RunResult>
  stop(reason: StopReason): Promise<RunResult>
  /** Its last words. */
  output(): string
}

export interface AwaitSocketOptions {
  /** Milliseconds from now. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly container: Starting
}

/**
 * Waits until a container that was just started listens in its folder, and pins the socket.
 * A container that fails to, or that nobody waits for any more, is stopped before this rejects.
 * @throws StartError, or the signal's reason
 */
export async function awaitSocket(dir: string, options: AwaitSocketOptions): Promise<PinnedSocket> {
  const { timeoutMs, clock, signal, container } = options
  const over = new AbortController()
  const giveUp = AbortSignal.any([signal, over.signal])
  using _deadline = clock.after(timeoutMs, () =>
    over.abort(new Failure('timeout', `not ready after ${timeoutMs} ms`)),
  )
  container.ended.then((result) => over.abort(new Failure('exited', result.error ?? 'it ended')))
  try {
    return await findSocket(dir, clock, giveUp)
  } catch (error) {
    if (!(error instanceof Failure)) {
      await container.stop('cancelled')
      signal.throwIfAborted()
      throw new DriverError('unavailable', `cannot reach the socket: ${messageOf(error)}`, { cause: error })
    }
    const result = await container.stop('killed')
    const text = `the function did not start: ${error.message}`
    throw new StartError(error.fault, text, result, container.output())
  } finally {
    over.abort()
  }
}

/** Why a start failed, before the container's end is known. */
class Failure extends Error {
  readonly fault: StartError['fault']

  constructor(fault: StartError['fault'], message: string) {
    super(message)
    this.fault = fault
  }
}

const FIRST_POLL = 5
const LAST_POLL = 100

/** Watches, and polls too: events do not cross every shared folder. */
async function findSocket(dir: string, clock: Clock, signal: AbortSignal): Promise<PinnedSocket> {
  using changes = watchFolder(dir)
  for (let wait = FIRST_POLL; ; wait = Math.min(LAST_POLL, wait * 2)) {
    signal.throwIfAborted()
    const socket = pinSocket(dir)
    if (socket && (await accepts(socket, signal))) return socket
    socket?.[Symbol.dispose]()
    await changes.orAfter(wait, clock, signal)
  }
}

/**
 * Pins the socket that a container made in its folder; `undefined` while there is none.
 *
 * Everything in the folder is the function's own, and a link may lead to any socket of this machine. So only a
 * bare name is taken from the link, what it names is opened without following anything, must be a socket, and
 * from then on is reached by its descriptor alone: changing names later changes nothing.
 *
 * Without O_PATH (macOS) the name is checked once, which is weaker: it can be swapped afterwards.
 * @throws Failure `bad-socket`
 */
function pinSocket(dir: string): PinnedSocket | undefined {
  const target = readLink(join(dir, SOCKET_NAME))
  if (target === undefined) return undefined
  const name = target ?? SOCKET_NAME
  if (name === '' || name === '.' || name === '..' || name.includes('/'))
    throw new Failure('bad-socket', `${SOCKET_NAME} links to ${name}, which is not a name in its own folder`)
  return process.platform === 'linux' ? openSocket(dir, name) : checkSocket(dir, name)
}

/** The target of a link, `null` when the path is no link, `undefined` when there is nothing. */
function readLink(path: string): string | null | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    if (code === 'EINVAL') return null
    throw error
  }
}

/** Not among Node's constants; the same on x86-64 and arm64. */
const O_PATH = 0o10000000

function openSocket(dir: string, name: string): PinnedSocket {
  let fd: number
  try {
    fd = openSync(join(dir, name), O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    throw new Failure('bad-socket', `${name} cannot be opened: ${messageOf(error)}`)
  }
  if (!fstatSync(fd).isSocket()) {
    closeSync(fd)
    throw new Failure('bad-socket', `${name} is not a socket`)
  }
  let open = true
  return {
    path: `/proc/self/fd/${fd}`,
    [Symbol.dispose]() {
      if (open) closeSync(fd)
      open = false
    },
  }
}

function checkSocket(dir: string, name: string): PinnedSocket {
  const path = join(dir, name)
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket())
    throw new Failure('bad-socket', `${name} is not a socket`)
  return { path, [Symbol.dispose]() {} }
}

/** Whether somebody listens already: a server that binds the final name does so a moment before it listens. */
function accepts(socket: PinnedSocket, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(socket.path)
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', abort)
      probe.destroy()
      settle()
    }
    const abort = () => {
      socket[Symbol.dispose]()
      end(() => reject(signal.reason))
    }
    signal.addEventListener('abort', abort, { once: true })
    probe.once('connect', () => end(() => resolve(true)))
    probe.once('error', () => end(() => resolve(false)))
  })
}

interface FolderChanges extends Disposable {
  /** Resolves at the next change, or after `ms`. */
  orAfter(ms: number, clock: Clock, signal: AbortSignal): Promise<void>
}

function watchFolder(dir: string): FolderChanges {
  let changed = false
  let wake = () => {}
  const watcher = tryWatch(dir, () => {
    changed = true
    wake()
  })
  return {
    async orAfter(ms, clock, signal) {
      if (!changed) {
        // Many times a start: no signal is made for it, and the loop sees by itself when it was aborted.
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        using _timer = clock.after(ms, resolve)
        signal.addEventListener('abort', resolve as () => void)
        await promise
        signal.removeEventListener('abort', resolve as () => void)
      }
      changed = false
    },
    [Symbol.dispose]: () => watcher?.close(),
  }
}

/** `undefined` where the machine has no watches left: then polling must do. */
function tryWatch(dir: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(dir, { persistent: false }, changed)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}

/** A socket's path may have 108 bytes on Linux and 104 on macOS; some room is left. */
const MAX_PATH = 90

/**
 * A fresh folder (0700) in `parent`, or in the system's folder for temporary files where `parent` is too long
 * a path for the sockets in `sub` of it.
 */
export async function makeShortDir(parent: string, sub = ''): Promise<string> {
  for (const root of [parent, tmpdir()]) {
    const longest = join(root, 'sl-XXXXXX', sub, `${SOCKET_NAME}.tmp`)
    if (Buffer.byteLength(longest) > MAX_PATH) continue
    await mkdir(root, { recursive: true, mode: 0o700 })
    return mkdtemp(join(root, 'sl-'))
  }
  throw new DriverError('unavailable', `${parent} is too long a path for a socket: at most ${MAX_PATH} bytes`)
}

/** Removes a container's folder. Links in it are removed, never followed. */
export async function removeDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
