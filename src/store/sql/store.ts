import type { Kysely } from 'kysely'
import type { Store } from '../store.ts'
import { appStore } from './apps.ts'
import { bundleStore } from './bundles.ts'
import { fnStore } from './fns.ts'
import type { Tables } from './tables.ts'
import { triggerStore } from './triggers.ts'

/**
 * A store over a SQL database, whichever it is. What it asks of the dialect: a transaction has the writing
 * to itself from its first statement to its end, so that what it has read stays true until it commits.
 */
export function sqlStore(db: Kysely<Tables>, close: () => Promise<void>): Store {
  return {
    apps: appStore(db),
    fns: fnStore(db),
    triggers: triggerStore(db),
    bundles: bundleStore(db),

    async version() {
      const { count } = await db.selectFrom('changes').select('count').executeTakeFirstOrThrow()
      return Number(count)
    },

    [Symbol.asyncDispose]: close,
  }
}
