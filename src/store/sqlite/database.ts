import { resolve } from 'node:path'
import { Kysely, sql } from 'kysely'
import { type Clock, systemClock } from '../../core/clock.ts'
import { messageOf, SluiceError } from '../../core/errors.ts'
import type { Database } from '../database.ts'
import type { Tables } from '../sql/tables.ts'
import { sqliteDialect, sqliteFacts } from './dialect.ts'
import { migrate, type Statements } from './migrations.ts'
import { Thread } from './thread.ts'
import { Turns } from './turns.ts'

export interface SqliteOptions {
  /** The database; made with mode 0600 when missing, in a folder that exists. Two more files appear beside it. */
  readonly file: string
  readonly clock?: Clock
  /** How long a statement may wait for other processes, in milliseconds. @default 5000 */
  readonly patience?: number
}

/** Milliseconds beyond the wait for others that a statement may take, so that a disk that hangs holds nobody for ever. */
const WORK_LIMIT = 5_000
/** The same for a step to a newer format, which may rewrite the file. */
const STEP_LIMIT = 600_000

/**
 * A database in one file that the processes of one machine may share. It lives in a thread of its own.
 * @throws SluiceError `store-unavailable` when the file cannot be opened or is newer than this code
 */
export async function sqliteDatabase(options: SqliteOptions): Promise<Database<Tables>> {
  const { file, clock = systemClock, patience = 5_000 } = options
  const limitMs = patience + WORK_LIMIT
  const turns = new Turns()
  const thread = new Thread({ file: resolve(file), patience }, clock, limitMs)
  try {
    await thread.ask({ kind: 'open' }).answer
    await migrate(statementsOf(thread))
  } catch (error) {
    await thread.end()
    const { cause = error } = error as Error
    throw new SluiceError('store-unavailable', `Cannot open the store ${file}: ${messageOf(cause)}`, {
      cause,
    })
  }
  const kysely = new Kysely<Tables>({ dialect: sqliteDialect(thread, turns, limitMs) })
  return {
    kysely,
    facts: sqliteFacts,
    async [Symbol.asyncDispose]() {
      // It writes nothing, but its turn comes after all that is running.
      await sql`select 1`.execute(kysely).catch(() => {})
      await thread.end()
    },
  }
}

const statementsOf = (thread: Thread): Statements => ({
  async script(sql) {
    await thread.ask({ kind: 'script', sql }, undefined, STEP_LIMIT).answer
  },
  async rows(sql, parameters = []) {
    const question = { kind: 'run', role: 'writer', sql, parameters } as const
    return (await thread.ask(question, undefined, STEP_LIMIT).answer).rows
  },
})
