import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'

/** A database has one connection that writes and one that reads meanwhile, of what was last committed. */
export type Role = 'reader' | 'writer'

/** What the thread of a database is asked. */
export type Question =
  | { readonly kind: 'open' }
  | { readonly kind: 'close' }
  /** Statements without parameters, on the connection that writes. */
  | { readonly kind: 'script'; readonly sql: string }
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
  /** Of the system, or of Node. */
  readonly code: string | undefined
}

export interface ToThread {
  readonly id: number
  readonly question: Question
}

export type FromThread =
  | { readonly id: number; readonly outcome: Outcome }
  | { readonly id: number; readonly fault: Fault }

/** What the thread is made with. */
export interface Workplace {
  /** Absolute. */
  readonly file: string
  /** How long opening may wait for other processes, in milliseconds. */
  readonly patience: number
}
