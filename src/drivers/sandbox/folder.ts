import { constants } from 'node:fs'
import {
  chmod,
  chown,
  copyFile,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { listBelow } from '../../host/folder.ts'
import { DriverError } from '../driver.ts'
import { readStat, untilGone } from '../tree.ts'
import type { User } from './users.ts'

/** What a container has on disk: its user may read it, and nobody but this process may write it. */
export interface Folder extends AsyncDisposable {
  readonly path: string
  write(name: string, text: string): Promise<string>
  copy(name: string, source: string): Promise<string>
  /** Copies a folder with all that is in it. Links stay links. */
  stage(name: string, source: string, signal: AbortSignal): Promise<string>
}

const PREFIX = 'sl-'

/** @throws DriverError `unavailable` */
export async function makeFolder(root: string, user: User | undefined): Promise<Folder> {
  const path = await attempt('make', () => mkdtemp(join(root, PREFIX)))
  const give = async (file: string, mode: number) => {
    if (user) await chown(file, 0, user.gid)
    await chmod(file, user ? mode : mode & 0o700)
    return file
  }
  await attempt('make', () => give(path, 0o710))
  return {
    path,
    write: (name, text) =>
      attempt('write', async () => {
        await writeFile(join(path, name), text, { mode: 0o600 })
        return give(join(path, name), 0o640)
      }),
    copy: (name, source) =>
      attempt('copy', async () => {
        await copyFile(source, join(path, name))
        return give(join(path, name), 0o640)
      }),
    stage: (name, source, signal) =>
      attempt(
        'copy the bundle into',
        async () => {
          const target = join(path, name)
          const filter = () => {
            signal.throwIfAborted()
            return true
          }
          await cp(source, target, {
            recursive: true,
            verbatimSymlinks: true,
            mode: constants.COPYFILE_FICLONE,
            filter,
          })
          for (const name of ['', ...(await listBelow(target))]) {
            signal.throwIfAborted()
            const file = join(target, name)
            const stats = await lstat(file)
            if (!stats.isSymbolicLink()) await give(file, stats.mode & 0o111 ? 0o750 : 0o640)
          }
          return target
        },
        signal,
      ),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

async function attempt<T>(what: string, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await action()
  } catch (cause) {
    signal?.throwIfAborted()
    const fault = (cause as NodeJS.ErrnoException).code === 'ENOSPC' ? 'no-room' : 'unavailable'
    throw new DriverError(fault, `cannot ${what} the container's folder: ${messageOf(cause)}`, { cause })
  }
}

const RECORD = 'process.json'

/** What finds a container again that outlives this process, where no control group does. */
export async function writeRecord(folder: string, first: Identity): Promise<void> {
  await writeFile(join(folder, RECORD), JSON.stringify(first), { mode: 0o600 })
}

/** Makes the folder of all containers. Root's containers have users of their own, who must pass through to theirs. */
export async function openRoot(path: string): Promise<string> {
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700
  return attempt('make', async () => {
    await mkdir(path, { recursive: true, mode })
    await chmod(path, mode)
    return realpath(path)
  })
}

/** Ends the containers and removes the folders that a killed predecessor left. */
export async function reapFolders(root: string, clock: Clock): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(PREFIX)) continue
    await endRecorded(join(root, name, RECORD), clock)
    await rm(join(root, name), { recursive: true, force: true })
  }
}

async function endRecorded(file: string, clock: Clock): Promise<void> {
  const record = await readRecord(file)
  if (record) await endProcess(record, clock)
}

export interface Identity {
  readonly pid: number
  /** Tells a pid from its next user. */
  readonly startTime: number
}

export function identify(pid: number): Identity | undefined {
  const startTime = readStat(pid)?.startTime
  return startTime === undefined ? undefined : { pid, startTime }
}

/** Kills the first process of a container, and thereby all of them, and waits until they are gone. */
export async function endProcess({ pid, startTime }: Identity, clock: Clock): Promise<void> {
  await untilGone(() => {
    const stat = readStat(pid)
    if (stat?.startTime !== startTime || stat.zombie) return false
    process.kill(pid, 'SIGKILL')
    return true
  }, clock)
}

/** `undefined` for a file that is not there, or was cut off by the death of its writer. */
async function readRecord(file: string): Promise<Identity | undefined> {
  try {
    const { pid, startTime } = JSON.parse(await readFile(file, 'utf8'))
    return Number.isSafeInteger(pid) && pid > 1 && typeof startTime === 'number'
      ? { pid, startTime }
      : undefined
  } catch {
    return undefined
  }
}
