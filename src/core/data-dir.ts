import { accessSync, chmodSync, constants, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf, SluiceError } from './errors.ts'

/** A folder of state that belongs to one process until it is disposed, or the process ends in any way. */
export interface DataDir extends Disposable {
  /** Absolute. */
  readonly path: string
  /** The secret in the file `token`, if there is one. */
  readonly token: string | undefined
}

/**
 * Opens a data folder, making it (0700) when it is missing.
 * The lock is a kernel lock on the file `lock`, held through SQLite since Node has no call for it: kill -9 frees it.
 * @throws SluiceError `data-dir` with one clear line: not writable, in use, a token that others can read
 */
export function openDataDir(dir: string): DataDir {
  const path = resolve(dir)
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    chmodSync(path, 0o700)
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new SluiceError('data-dir', `data folder ${path} is not writable: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const lock = new DatabaseSync(join(path, 'lock'))
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

function readToken(file: string): string | undefined {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode
  if (mode === undefined) return undefined
  if (mode & 0o077) {
    throw new SluiceError('data-dir', `token file ${file} can be read by others; run: chmod 600 ${file}`)
  }
  return readFileSync(file, 'utf8').trim() || undefined
}
