import { closeSync, constants, openSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'
import { DriverError, StartError } from './driver.ts'
import { type AwaitSocketOptions, awaitSocket, type PinnedSocket } from './socket.ts'

/** Where a container's socket is, inside. A file system of its own: what fills it fills nothing else. */
export const IO_DIR = '/tmp/iofs'
/** Bytes of it: for a socket and some names. */
export const IO_SIZE: number = 64 * 1024

/** The folder of a container's socket, open: its own path means another one's once the container is gone. */
export interface IoFolder extends Disposable {
  readonly path: string
}

/** Not among Node's constants; the same on x86-64 and arm64. */
const O_PATH = 0o10000000

/**
 * Opens the folder in which a container makes its socket, by way of its first process: it is a small file system
 * inside, so that what a function writes there never comes to the machine's disk.
 *
 * The container owns every name on the way, so each step is opened by itself and follows no link: what is reached
 * is something that the container has itself.
 * @returns `undefined` when the process is gone
 * @throws DriverError `unavailable` when this process may not look into it
 */
export function openIo(pid: number): IoFolder | undefined {
  const held: number[] = []
  const open = (path: string, follow: number) => {
    const fd = openSync(path, O_PATH | constants.O_DIRECTORY | follow)
    held.push(fd)
    return fd
  }
  const close = () => {
    for (const fd of held.splice(0)) closeSync(fd)
  }
  try {
    let fd = open(`/proc/${pid}/root`, 0)
    for (const name of IO_DIR.split('/').filter((name) => name !== ''))
      fd = open(`/proc/self/fd/${fd}/${name}`, constants.O_NOFOLLOW)
    return { path: `/proc/self/fd/${fd}`, [Symbol.dispose]: close }
  } catch (error) {
    close()
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new DriverError('unavailable', `cannot look into the container: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * Waits for the socket in a folder that `open` finds, as {@link openIo} does. A container that has none is stopped.
 * @throws StartError, DriverError, or the signal's reason
 */
export async function awaitSocketInside(
  open: () => IoFolder | undefined,
  options: AwaitSocketOptions,
): Promise<PinnedSocket> {
  const { clock, container, timeoutMs } = options
  using io = await openOrStop(open, options)
  if (io) return await awaitSocket(io.path, options)
  using _deadline = clock.after(timeoutMs, () => container.stop('killed'))
  const result = await container.ended
  const text = `the function did not start: ${result.error ?? 'it ended'}`
  throw new StartError('exited', text, result, container.output())
}

async function openOrStop(
  open: () => IoFolder | undefined,
  { container }: AwaitSocketOptions,
): Promise<IoFolder | undefined> {
  try {
    return open()
  } catch (error) {
    await container.stop('cancelled')
    throw error
  }
}
