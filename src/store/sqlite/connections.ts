import { chmodSync, closeSync, openSync, type Stats, statSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { migrate } from './migrations.ts'
import type { Outcome, Role } from './questions.ts'

/** Bytes of log that are kept on disk when it is empty. */
const LOG_SIZE = 67_108_864

/** The connections to one file, in the thread of the database. Every call of it may wait for the disk. */
export class Connections {
  readonly #file: string
  readonly #patience: number
  #open: { readonly reader: DatabaseSync; readonly writer: DatabaseSync; readonly file: Stats } | undefined

  /** @param patience how long opening may wait for other processes, in milliseconds */
  constructor(file: string, patience: number) {
    this.#file = file
    this.#patience = patience
  }

  /** Opens the file, made with mode 0600 when missing, and brings it to the format of this code. */
  open(): void {
    protect(this.#file)
    this.#connect()
  }

  close(): void {
    this.#open?.reader.close()
    this.#open?.writer.close()
    this.#open = undefined
  }

  run(role: Role, sql: string, parameters: readonly SQLInputValue[]): Outcome {
    const { reader, writer } = this.#opened()
    // SQLite has rolled back by itself after some errors.
    if (sql === 'rollback' && !writer.isTransaction) return NOTHING
    const statement = (role === 'reader' ? reader : writer).prepare(sql)
    if (statement.columns().length > 0) return { ...NOTHING, rows: statement.all(...parameters) }
    return { ...NOTHING, ...statement.run(...parameters) }
  }

  /**
   * A file that was moved away and is back, or another in its place, is opened anew: SQLite would go on with the old
   * one. It is never made anew, which would be an empty store.
   */
  #opened(): { readonly reader: DatabaseSync; readonly writer: DatabaseSync } {
    if (this.#open?.writer.isTransaction) return this.#open
    const now = statSync(this.#file)
    if (this.#open && this.#open.file.ino === now.ino && this.#open.file.dev === now.dev) return this.#open
    this.close()
    return this.#connect()
  }

  #connect(): { readonly reader: DatabaseSync; readonly writer: DatabaseSync } {
    const writer = new DatabaseSync(this.#file, { timeout: this.#patience })
    let reader: DatabaseSync | undefined
    try {
      // The log that SQLite syncs before a commit returns (full) outlives the process at any point,
      // and the machine's loss of power too; `normal` would only promise the first. Writes here are rare.
      writer.exec(
        `pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${LOG_SIZE}`,
      )
      migrate(writer)
      reader = new DatabaseSync(this.#file, { readOnly: true })
      // From here on who waits for a lock lets others go first (worker.ts).
      writer.exec('pragma busy_timeout = 0')
      reader.exec('pragma busy_timeout = 0')
      this.#open = { reader, writer, file: statSync(this.#file) }
      return this.#open
    } catch (error) {
      reader?.close()
      writer.close()
      throw error
    }
  }
}

const NOTHING: Outcome = { rows: [], changes: 0, lastInsertRowid: 0 }

/**
 * Only the owner may read it; SQLite gives the files beside it the same mode. A file that exists is never opened
 * here: closing it would drop the locks that other handles of this process hold.
 */
function protect(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if ((statSync(file).mode & 0o777) !== 0o600) chmodSync(file, 0o600)
  }
}
