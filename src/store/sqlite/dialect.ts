import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { SluiceError } from '../../core/errors.ts'
import { takeTurn } from './turns.ts'

/** Kysely over one `node:sqlite` connection to `file`; whoever opened it closes it. */
export function sqliteDialect(db: DatabaseSync, file: string): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => sqliteDriver(db, file),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** Kysely gives the connection to one transaction or lone statement at a time, so one `turn` is enough. */
function sqliteDriver(db: DatabaseSync, file: string): Driver {
  const connection: DatabaseConnection = {
    executeQuery: async (query) => tell(() => run(db, query)),
    streamQuery() {
      throw new Error('rows of node:sqlite are read at once')
    },
  }
  let turn: Disposable | undefined
  const endTurn = () => {
    turn?.[Symbol.dispose]()
    turn = undefined
  }

  return {
    init: async () => {},
    acquireConnection: async () => connection,
    async beginTransaction() {
      turn = await takeTurn(file)
      try {
        // Immediate: a transaction that reads first and then writes would be refused where another wrote between.
        tell(() => db.exec('begin immediate'))
      } catch (error) {
        endTurn()
        throw error
      }
    },
    async commitTransaction() {
      tell(() => db.exec('commit'))
      endTurn()
    },
    async rollbackTransaction() {
      try {
        // SQLite itself has rolled back after some errors.
        if (db.isOpen && db.isTransaction) tell(() => db.exec('rollback'))
      } finally {
        endTurn()
      }
    },
    releaseConnection: async () => {},
    destroy: async () => {},
  }
}

function run<R>(db: DatabaseSync, { sql, parameters }: CompiledQuery): QueryResult<R> {
  const statement = db.prepare(sql)
  const values = parameters as SQLInputValue[]
  if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] }
  const { changes, lastInsertRowid } = statement.run(...values)
  return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
}

/** SQLite's result codes for a file that cannot be used now: busy, locked, read-only, I/O, corrupt, full, cannot open, no database. */
const UNAVAILABLE: ReadonlySet<number> = new Set([5, 6, 8, 10, 11, 13, 14, 26])

/** Runs `work`, saying `store-unavailable` where the file is at fault and not the statement. */
export function tell<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { code, errcode } = error as { code?: string; errcode?: number }
    if (code === 'ERR_INVALID_STATE' || UNAVAILABLE.has((errcode ?? 0) & 0xff))
      throw new SluiceError('store-unavailable', undefined, { cause: error })
    throw error
  }
}
