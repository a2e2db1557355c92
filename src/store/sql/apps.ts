import type { Kysely } from 'kysely'
import { SluiceError } from '../../core/errors.ts'
import type { App } from '../../core/words.ts'
import type { AppStore } from '../store.ts'
import { type Tables, within } from './tables.ts'

export function appStore(db: Kysely<Tables>): AppStore {
  return {
    async insert(app) {
      await db.transaction().execute(async (trx) => {
        await refuseTaken(trx, app)
        await trx.insertInto('apps').values(toRow(app)).execute()
      })
    },

    get: (id) => find(db, id),

    async byName(name) {
      const row = await db.selectFrom('apps').select('doc').where('name', '=', name).executeTakeFirst()
      return row && fromRow(row)
    },

    async list(page) {
      const rows = await db
        .selectFrom('apps')
        .select('doc')
        .where(within(page))
        .orderBy('name')
        .orderBy('id')
        .limit(page.limit)
        .execute()
      return rows.map(fromRow)
    },

    update: (id, change) =>
      db.transaction().execute(async (trx) => {
        const app = await find(trx, id)
        const changed = app && change(app)
        if (!changed) return app
        await refuseTaken(trx, changed)
        await trx.updateTable('apps').set(toRow(changed)).where('id', '=', id).execute()
        return changed
      }),

    remove: (id) =>
      db.transaction().execute(async (trx) => {
        const row = await trx.deleteFrom('apps').where('id', '=', id).returning('id').executeTakeFirst()
        return row !== undefined
      }),
  }
}

async function find(db: Kysely<Tables>, id: string): Promise<App | undefined> {
  const row = await db.selectFrom('apps').select('doc').where('id', '=', id).executeTakeFirst()
  return row && fromRow(row)
}

async function refuseTaken(trx: Kysely<Tables>, { id, name }: App): Promise<void> {
  const holder = await trx.selectFrom('apps').select('id').where('name', '=', name).executeTakeFirst()
  if (holder && holder.id !== id)
    throw new SluiceError('conflict', 'App already exists', { detail: `app name ${name} is taken` })
}

const toRow = (app: App): Tables['apps'] => ({ id: app.id, name: app.name, doc: JSON.stringify(app) })

const fromRow = ({ doc }: { doc: string }): App => JSON.parse(doc) as App
