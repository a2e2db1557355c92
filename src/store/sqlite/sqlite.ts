import { sqlStore } from '../sql/store.ts'
import type { Store } from '../store.ts'
import { type SqliteOptions, sqliteDatabase } from './database.ts'

/**
 * A store in one file that the processes of one machine may share.
 * @throws SluiceError `store-unavailable` when the file cannot be opened or is newer than this code
 */
export const sqliteStore = async (options: SqliteOptions): Promise<Store> =>
  sqlStore(await sqliteDatabase(options))
