import { type Kysely, sql } from 'kysely'
import type { BundleStore } from '../store.ts'
import type { Tables } from './tables.ts'

export function bundleStore(db: Kysely<Tables>): BundleStore {
  const has = async (digest: string, on = db) => {
    const row = await on
      .selectFrom('bundles')
      .select('digest')
      .where('digest', '=', digest)
      .executeTakeFirst()
    return row !== undefined
  }

  return {
    async put(digest, tar, at) {
      await db.transaction().execute(async (trx) => {
        if (await has(digest, trx))
          await trx.updateTable('bundles').set({ put_at: at }).where('digest', '=', digest).execute()
        else await trx.insertInto('bundles').values({ digest, put_at: at, tar }).execute()
      })
    },

    async get(digest) {
      const row = await db.selectFrom('bundles').select('tar').where('digest', '=', digest).executeTakeFirst()
      return row?.tar
    },

    has: (digest) => has(digest),

    sweep: (before) =>
      db.transaction().execute(async (trx) => {
        const swept = await trx
          .deleteFrom('bundles')
          .where('put_at', '<', before)
          .where(sql<boolean>`not exists (select 1 from fns where fns.bundle = bundles.digest)`)
          .returning('digest')
          .execute()
        return swept.length
      }),
  }
}
