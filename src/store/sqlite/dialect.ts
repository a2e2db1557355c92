import type { SQLInputValue } from 'node:sqlite'
import {
  type AbortableOperationOptions,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
  SelectQueryNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { DialectFacts } from '../database.ts'
import type { Outcome, Role } from './questions.ts'
import { type Asked, SqliteError, type Thread } from './thread.ts'
import type { Turns } from './turns.ts'

/** SQLITE_CONSTRAINT_UNIQUE and _PRIMARYKEY. */
const TAKEN: ReadonlySet<number | undefined> = new Set([2067, 1555])
/** SQLITE_CONSTRAINT_FOREIGNKEY. */
const ORPHANED = 787

export const sqliteFacts: DialectFacts = {
  brokenBy(error) {
    if (!(error instanceof SqliteError)) return undefined
    if (TAKEN.has(error.errcode)) return 'unique'
    return error.errcode === ORPHANED ? 'reference' : undefined
  },
}

/** Kysely over a database in a thread of its own; whoever made the thread ends it. */
export function sqliteDialect(thread: Thread, turns: Turns, limitMs: number): Dialect {
  return {
    createAdapter: () => new Adapter(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => new Connection(thread, turns, limitMs),
      beginTransaction: (connection) => (connection as Connection).begin(),
      commitTransaction: (connection) => (connection as Connection).commit(),
      rollbackTransaction: (connection) => (connection as Connection).rollback(),
      releaseConnection: async (connection) => (connection as Connection).release(),
      destroy: async () => {},
    }),
  }
}

class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

/** What one statement or transaction is sent through: it reads beside others, and writes when it has the turn. */
class Connection implements DatabaseConnection {
  readonly #thread: Thread
  readonly #turns: Turns
  readonly #limit: number
  #turn: Disposable | undefined
  #isOpen = false
  #last: Promise<void> = Promise.resolve()

  constructor(thread: Thread, turns: Turns, limitMs: number) {
    this.#thread = thread
    this.#turns = turns
    this.#limit = limitMs
  }

  async executeQuery<R>(
    { sql, parameters, query }: CompiledQuery,
    { signal }: AbortableOperationOptions = {},
  ): Promise<QueryResult<R>> {
    const role = !this.#turn && SelectQueryNode.is(query) ? 'reader' : 'writer'
    try {
      if (role === 'writer') await this.#takeTurn(signal)
      return toResult(await this.#ask(role, sql, parameters as readonly SQLInputValue[], signal).answer)
    } catch (error) {
      // Kysely has told who asked, and would print what it hears now.
      if (signal?.aborted) return { rows: [] }
      throw error
    }
  }

  // biome-ignore lint/correctness/useYield: it refuses
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('rows are read at once: read them in pages')
  }

  async begin(): Promise<void> {
    await this.#takeTurn()
    this.#isOpen = true
    // Immediate: a transaction that reads first and then writes would be refused where another wrote between.
    await this.#ask('writer', 'begin immediate').answer
  }

  async commit(): Promise<void> {
    await this.#ask('writer', 'commit').answer
    this.#isOpen = false
  }

  /** What cannot be rolled back now is when the thread gets to it, before the next turn. */
  async rollback(): Promise<void> {
    this.#isOpen = false
    await this.#ask('writer', 'rollback').answer.catch(() => {})
  }

  /** The turn is over when the thread is done with what was asked in it, also where nobody waits any more. */
  release(): void {
    // Of a start or an end that nobody has waited for to the end.
    if (this.#isOpen) void this.rollback()
    const turn = this.#turn
    if (turn) void this.#last.then(() => turn[Symbol.dispose]())
  }

  async #takeTurn(signal?: AbortSignal): Promise<void> {
    this.#turn ??= await this.#turns.take((wait) => this.#thread.within(wait, this.#limit, signal))
  }

  #ask(role: Role, sql: string, parameters: readonly SQLInputValue[] = [], signal?: AbortSignal): Asked {
    const asked = this.#thread.ask({ kind: 'run', role, sql, parameters }, signal)
    this.#last = Promise.all([this.#last, asked.settled]).then(() => {})
    return asked
  }
}

const toResult = <R>({ rows, changes, lastInsertRowid }: Outcome): QueryResult<R> => ({
  rows: rows as unknown as R[],
  numAffectedRows: BigInt(changes),
  insertId: BigInt(lastInsertRowid),
})
