import type { Kysely } from 'kysely'
import { SluiceError } from '../../core/errors.ts'
import type { Database } from '../database.ts'
import type { Page } from '../store.ts'
import { type Tables, within } from './tables.ts'

type ResourceTable = 'apps' | 'fns' | 'triggers'

/** What the tables of all resources have. */
interface Row {
  id: string
  name: string
  doc: string
}

/** One kind of resource in SQL. */
export interface Kind<T, Name extends ResourceTable> {
  readonly table: Name
  toRow(item: T): Tables[Name]
  /** Why its constraints do not take an item, in the order that the API promises; `undefined` when nothing is against it any more. */
  refusal(item: T): Promise<SluiceError | undefined>
}

/** Equal values that a page keeps to, by column. */
export type Scope = Readonly<Record<string, string | undefined>>

export interface ResourceRows<T> {
  insert(item: T): Promise<void>
  get(id: string): Promise<T | undefined>
  /** The first one that has all these values. */
  find(scope: Scope): Promise<T | undefined>
  list(page: Page, scope?: Scope): Promise<T[]>
  update(id: string, change: (item: T) => T | undefined): Promise<T | undefined>
  remove(id: string): Promise<boolean>
}

/** Of tries to write what others change, or take and give up, at the same time. Each means that somebody got ahead. */
const MOST_TRIES = 1_000

/**
 * What is the same for all kinds: each method is one statement, or a read and one that holds only while what was
 * read is still there. So nobody waits for anybody, and what is unique, the database alone decides.
 */
export function resourceRows<T, Name extends ResourceTable>(
  { kysely, facts }: Database<Tables>,
  { table, toRow, refusal }: Kind<T, Name>,
): ResourceRows<T> {
  // To Kysely, a table whose name is known when it runs.
  const db = kysely as unknown as Kysely<{ rows: Row }>
  const rows = table as unknown as 'rows'

  const docOf = async (id: string): Promise<string | undefined> =>
    (await db.selectFrom(rows).select('doc').where('id', '=', id).executeTakeFirst())?.doc

  const select = (scope: Scope) =>
    Object.entries(scope)
      .filter(([, value]) => value !== undefined)
      .reduce(
        (query, [column, value]) => query.where(db.dynamic.ref<'id'>(column), '=', value as string),
        db.selectFrom(rows).select('doc'),
      )

  /** Runs a statement that writes `item`. @throws the kind's refusal where a constraint forbids it */
  const write = async <R>(item: T, run: () => Promise<R>): Promise<R> => {
    for (let tries = 1; ; tries++) {
      try {
        return await run()
      } catch (error) {
        if (facts.brokenBy(error) === undefined) throw error
        const reason = await refusal(item)
        if (reason) throw reason
        if (tries === MOST_TRIES) throw error
      }
    }
  }

  return {
    async insert(item) {
      await write(item, () =>
        db
          .insertInto(rows)
          .values(toRow(item) as Row)
          .execute(),
      )
    },

    async get(id) {
      const doc = await docOf(id)
      return doc === undefined ? undefined : (JSON.parse(doc) as T)
    },

    async find(scope) {
      const row = await select(scope).executeTakeFirst()
      return row && (JSON.parse(row.doc) as T)
    },

    async list(page, scope = {}) {
      const found = await select(scope)
        .where(within(page))
        .orderBy('name')
        .orderBy('id')
        .limit(page.limit)
        .execute()
      return found.map(({ doc }) => JSON.parse(doc) as T)
    },

    async update(id, change) {
      for (let tries = 1; tries <= MOST_TRIES; tries++) {
        const doc = await docOf(id)
        if (doc === undefined) return undefined
        const current = JSON.parse(doc) as T
        const changed = change(current)
        if (!changed) return current
        const { numUpdatedRows } = await write(changed, () =>
          db
            .updateTable(rows)
            .set(toRow(changed) as Row)
            .where('id', '=', id)
            .where('doc', '=', doc)
            .executeTakeFirst(),
        )
        if (numUpdatedRows > 0n) return changed
      }
      throw new SluiceError('store-unavailable', undefined, {
        detail: `${id} is changed too often to be changed now`,
      })
    },

    async remove(id) {
      const { numDeletedRows } = await db.deleteFrom(rows).where('id', '=', id).executeTakeFirst()
      return numDeletedRows > 0n
    },
  }
}
