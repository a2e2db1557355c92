import type { Database } from '../database.ts'
import type { Store } from '../store.ts'
import { appStore } from './apps.ts'
import { bundleStore } from './bundles.ts'
import { fnStore } from './fns.ts'
import type { Tables } from './tables.ts'
import { triggerStore } from './triggers.ts'

/** A store in a SQL database, whichever it is. Disposing it disposes the database. */
export function sqlStore(database: Database<Tables>): Store {
  const apps = appStore(database)
  const bundles = bundleStore(database)
  const fns = fnStore(database, { apps, bundles })
  return {
    apps,
    fns,
    triggers: triggerStore(database, { apps, fns }),
    bundles,

    async version() {
      const { count } = await database.kysely.selectFrom('changes').select('count').executeTakeFirstOrThrow()
      return Number(count)
    },

    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}
