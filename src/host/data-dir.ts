import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf, SluiceError } from '../core/errors.ts'
import { makePath } from './folder.ts'

/** A folder of state that belongs to one process until it is disposed, or the process ends in any way. */
export interface DataDir extends Disposable {
  /** Absolute. */
  readonly path: string
  /** The secret in the file `token`, if there is one. */
  readonly token: string | undefined
}

/** Root's containers have users of their own, who must pass through to theirs; nobody else may look around. */
const MODE = process.getuid?.() === 0 ? 0o711 : 0o700

/**
 * Opens a data folder, making it (0700; root's 0711) when it is missing.
 * The lock is a kernel lock on the file `lock`, held through SQLite since Node has no call for it: kill -9 frees it.
 * @throws SluiceError `data-dir` with one clear line: not writable, no room, in use, a token that others can read
 */
export function openDataDir(dir: string): DataDir {
  const path = resolve(dir)
  prepare(path)
  const lock = takeLock(path)
  try {
    bound(join(path, 'package.json'))
    return { path, token: readToken(join(path, 'token')), [Symbol.dispose]: () => lock.close() }
  } catch (error) {
    lock.close()
    throw error
  }
}

function prepare(path: string): void {
  try {
    makePath(path, MODE)
    chmodSync(path, MODE)
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unusable(path, 'is not writable', error)
  }
}

/** Bundles lie below: how Node reads their modules is their own business, and not that of a project around the folder. */
function bound(file: string): void {
  if (existsSync(file)) return
  try {
    writeFileSync(file, '{}\n', { mode: 0o644 })
  } catch (error) {
    throw unusable(dirname(file), 'cannot be written to', error)
  }
}

function takeLock(path: string): DatabaseSync {
  let lock: DatabaseSync | undefined
  try {
    lock = openLock(join(path, 'lock'))
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock?.close()
    if ((error as { errcode?: number }).errcode === BUSY)
      throw new SluiceError('data-dir', `data folder ${path} is in use by another process`, { cause: error })
    throw unusable(path, 'cannot be locked', error)
  }
}

/** SQLite's word for a lock that somebody else holds. */
const BUSY = 5

const unusable = (path: string, what: string, cause: unknown): SluiceError =>
  new SluiceError('data-dir', `data folder ${path} ${what}: ${messageOf(cause)}`, { cause })

/** Only the owner may read it: a reader's lock would keep the owner out. */
function openLock(file: string): DatabaseSync {
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
  return new DatabaseSync(file)
}

function readToken(file: string): string | undefined {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode
  if (mode === undefined) return undefined
  if (mode & 0o077) {
    throw new SluiceError('data-dir', `token file ${file} can be read by others; run: chmod 600 ${file}`)
  }
  return readFileSync(file, 'utf8').trim() || undefined
}
