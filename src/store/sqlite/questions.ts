import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'

/** A database has one connection that writes and one that reads meanwhile, of what was last committed. */
export type Role = 'reader' | 'writer'

/** What the thread of a database is asked. */
export type Question =
  | { readonly kind: 'open' | 'close' }
  | {
      readonly kind: 'run'
      readonly role: Role
      readonly sql: string
      readonly parameters: readonly SQLInputValue[]
    }

export interface Outcome {
  readonly rows: readonly Readonly<Record<string, SQLOutputValue>>[]
  readonly changes: number | bigint
  readonly lastInsertRowid: number | bigint
}

/** An error as it travels between threads. */
export interface Fault {
  readonly message: string
  /** SQLite's extended result code. */
  readonly errcode: number | undefined
  /** The file is at fault, and not what was asked. */
  readonly unavailable: boolean
}

/** To the thread: a question, or the word that nobody waits for its answer any more. */
export type ToThread =
  | { readonly id: number; readonly question: Question }
  | { readonly id: number; readonly forget: true }

export type FromThread =
  | { readonly id: number; readonly outcome: Outcome }
  | { readonly id: number; readonly fault: Fault }

/** What the thread is made with. */
export interface Workplace {
  /** Absolute. */
  readonly file: string
  /** How long a statement may wait for other processes, in milliseconds. */
  readonly patience: number
}
