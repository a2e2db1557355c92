import type { Kysely } from 'kysely'

/**
 * An open SQL database in the format of this code: what stores, and later records, queues and schedules, are built
 * on. Whoever opened it disposes it; that waits for what is running, and twice is fine.
 *
 * Each wait has a limit, after which it is `store-unavailable`, and takes Kysely's `signal` too. A transaction has
 * one connection from its first statement to its end; statements outside of it, through the same handle, do not see
 * into it. Nothing here blocks the event loop.
 */
export interface Database<Tables> extends AsyncDisposable {
  readonly kysely: Kysely<Tables>
  readonly facts: DialectFacts
}

/** What differs between SQL databases beyond what Kysely hides. */
export interface DialectFacts {
  /** Which kind of constraint a statement has broken: a key that is taken, or a parent that is missing or still needed. */
  brokenBy(error: unknown): 'unique' | 'reference' | undefined
}
