import type { Kysely } from 'kysely'
import { SluiceError } from '../../core/errors.ts'
import { bundleDigest, type Fn } from '../../core/words.ts'
import type { FnStore } from '../store.ts'
import { type Tables, within } from './tables.ts'

export function fnStore(db: Kysely<Tables>): FnStore {
  return {
    async insert(fn) {
      await db.transaction().execute(async (trx) => {
        await requireApp(trx, fn.app_id)
        await requireBundle(trx, fn)
        await refuseTaken(trx, fn)
        await trx.insertInto('fns').values(toRow(fn)).execute()
      })
    },

    get: (id) => find(db, id),

    async list(page) {
      const rows = await db
        .selectFrom('fns')
        .select('doc')
        .where('app_id', '=', page.appId)
        .where(within(page))
        .orderBy('name')
        .orderBy('id')
        .limit(page.limit)
        .execute()
      return rows.map(fromRow)
    },

    update: (id, change) =>
      db.transaction().execute(async (trx) => {
        const fn = await find(trx, id)
        const changed = fn && change(fn)
        if (!changed) return fn
        await requireApp(trx, changed.app_id)
        await requireBundle(trx, changed)
        await refuseTaken(trx, changed)
        await trx.updateTable('fns').set(toRow(changed)).where('id', '=', id).execute()
        return changed
      }),

    remove: (id) =>
      db.transaction().execute(async (trx) => {
        const row = await trx.deleteFrom('fns').where('id', '=', id).returning('id').executeTakeFirst()
        return row !== undefined
      }),
  }
}

/** @throws SluiceError `not-found` */
export async function requireApp(trx: Kysely<Tables>, id: string): Promise<void> {
  const app = await trx.selectFrom('apps').select('id').where('id', '=', id).executeTakeFirst()
  if (!app) throw new SluiceError('not-found', 'App not found', { detail: `there is no app ${id}` })
}

async function requireBundle(trx: Kysely<Tables>, { image }: Fn): Promise<void> {
  const digest = bundleDigest(image)
  if (digest === undefined) return
  const bundle = await trx
    .selectFrom('bundles')
    .select('digest')
    .where('digest', '=', digest)
    .executeTakeFirst()
  if (!bundle)
    throw new SluiceError('invalid', 'Bundle not found', {
      detail: `fn image must name a stored bundle: upload it first (PUT /v2/bundles/${digest}), got ${image}`,
    })
}

async function refuseTaken(trx: Kysely<Tables>, { id, app_id, name }: Fn): Promise<void> {
  const holder = await trx
    .selectFrom('fns')
    .select('id')
    .where('app_id', '=', app_id)
    .where('name', '=', name)
    .executeTakeFirst()
  if (holder && holder.id !== id)
    throw new SluiceError('conflict', 'Fn with specified name already exists', {
      detail: `fn name ${name} is taken in app ${app_id}`,
    })
}

async function find(db: Kysely<Tables>, id: string): Promise<Fn | undefined> {
  const row = await db.selectFrom('fns').select('doc').where('id', '=', id).executeTakeFirst()
  return row && fromRow(row)
}

const toRow = (fn: Fn): Tables['fns'] => ({
  id: fn.id,
  app_id: fn.app_id,
  name: fn.name,
  bundle: bundleDigest(fn.image) ?? null,
  doc: JSON.stringify(fn),
})

const fromRow = ({ doc }: { doc: string }): Fn => JSON.parse(doc) as Fn
