import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf, SluiceError } from '../core/errors.ts'

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
 * @throws SluiceError `data-dir` with one clear line: not writable, in use, a token that others can read
 */
export function openDataDir(dir: string): DataDir {
  const path = resolve(dir)
  try {
    mkdirSync(path, { recursive: true, mode: MODE })
    chmodSync(path, MODE)
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new SluiceError('data-dir', `data folder ${path} is not writable: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const lock = openLock(join(path, 'lock'))
  try {
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    throw new SluiceError('data-dir', `data folder ${path} is in use by another process`, { cause: error })
  }
  try {
    return { path, token: readToken(join(path, 'token')), [Symbol.dispose]: () => lock.close() }
  } catch (error) {
    lock.close()
    throw error
  }
}

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
