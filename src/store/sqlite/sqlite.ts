import { chmodSync, closeSync, openSync, realpathSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { messageOf, SluiceError } from '../../core/errors.ts'
import { sqlStore } from '../sql/store.ts'
import type { Tables } from '../sql/tables.ts'
import type { Store } from '../store.ts'
import { sqliteDialect } from './dialect.ts'
import { migrate } from './migrations.ts'

export interface SqliteOptions {
  /** The database; made with mode 0600 when missing, in a folder that exists. Two more files appear beside it. */
  readonly file: string
}

/** How long a write may wait for other processes, in milliseconds. */
const BUSY_TIMEOUT = 5_000

/**
 * A store in one file that the processes of one machine may share.
 * @throws SluiceError `store-unavailable` when the file cannot be opened or is newer than this code
 */
export async function sqliteStore({ file }: SqliteOptions): Promise<Store> {
  const db = open(file)
  const kysely = new Kysely<Tables>({ dialect: sqliteDialect(db, realpathSync(file)) })
  return sqlStore(kysely, async () => {
    if (!db.isOpen) return
    // Waits for what is running.
    await kysely.connection().execute(async () => {
      if (db.isOpen) db.close()
    })
  })
}

function open(file: string): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    protect(file)
    db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT })
    // The log that SQLite syncs before a commit returns (full) outlives the process at any point,
    // and the machine's loss of power too; `normal` would only promise the first. Writes here are rare.
    db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = 67108864')
    migrate(db)
    return db
  } catch (error) {
    db?.close()
    if (error instanceof SluiceError) throw error
    throw new SluiceError('store-unavailable', `Cannot open the store ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * Only the owner may read it; SQLite gives the files beside it the same mode. A file that exists is never opened
 * here: closing it would drop the locks that other handles of this process hold.
 */
function protect(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    chmodSync(file, 0o600)
  }
}
