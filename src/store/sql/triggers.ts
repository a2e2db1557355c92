import { type Kysely, type SqlBool, sql } from 'kysely'
import { SluiceError } from '../../core/errors.ts'
import { shapeOf } from '../../core/routes.ts'
import type { Trigger } from '../../core/words.ts'
import type { TriggerStore } from '../store.ts'
import { requireApp } from './fns.ts'
import { type Tables, within } from './tables.ts'

export function triggerStore(db: Kysely<Tables>): TriggerStore {
  return {
    async insert(trigger) {
      await db.transaction().execute(async (trx) => {
        await refuseMisfit(trx, trigger)
        await trx.insertInto('triggers').values(toRow(trigger)).execute()
      })
    },

    get: (id) => find(db, id),

    async bySource(appId, type, source) {
      const row = await db
        .selectFrom('triggers')
        .select('doc')
        .where('app_id', '=', appId)
        .where('type', '=', type)
        .where('source', '=', source)
        .executeTakeFirst()
      return row && fromRow(row)
    },

    async sources(appId, type) {
      const rows = await db
        .selectFrom('triggers')
        .select(['source', 'fn_id'])
        .where('app_id', '=', appId)
        .where('type', '=', type)
        .execute()
      return rows.map(({ source, fn_id }) => ({ source, fn_id }))
    },

    async list(page) {
      const rows = await db
        .selectFrom('triggers')
        .select('doc')
        .where('app_id', '=', page.appId)
        .$if(page.fnId !== undefined, (query) => query.where('fn_id', '=', page.fnId as string))
        .where(within(page))
        .orderBy('name')
        .orderBy('id')
        .limit(page.limit)
        .execute()
      return rows.map(fromRow)
    },

    update: (id, change) =>
      db.transaction().execute(async (trx) => {
        const trigger = await find(trx, id)
        const changed = trigger && change(trigger)
        if (!changed) return trigger
        await refuseMisfit(trx, changed)
        await trx.updateTable('triggers').set(toRow(changed)).where('id', '=', id).execute()
        return changed
      }),

    remove: (id) =>
      db.transaction().execute(async (trx) => {
        const row = await trx.deleteFrom('triggers').where('id', '=', id).returning('id').executeTakeFirst()
        return row !== undefined
      }),
  }
}

/** Parents first, then the source, then the name: the order that the API promises. */
async function refuseMisfit(trx: Kysely<Tables>, trigger: Trigger): Promise<void> {
  await requireApp(trx, trigger.app_id)
  await requireFn(trx, trigger)
  await refuseTakenSource(trx, trigger)
  await refuseTakenName(trx, trigger)
}

async function requireFn(trx: Kysely<Tables>, { app_id, fn_id }: Trigger): Promise<void> {
  const fn = await trx.selectFrom('fns').select('app_id').where('id', '=', fn_id).executeTakeFirst()
  if (!fn) throw new SluiceError('not-found', 'Fn not found', { detail: `there is no fn ${fn_id}` })
  if (fn.app_id !== app_id)
    throw new SluiceError('invalid', 'Invalid Fn ID - not owned by specified app', {
      detail: `trigger fn_id must be a fn of app ${app_id}, got ${fn_id} of app ${fn.app_id}`,
    })
}

async function refuseTakenSource(trx: Kysely<Tables>, trigger: Trigger): Promise<void> {
  const { id, app_id, type, source } = trigger
  const shape = shapeOf(source)
  const holders = await trx
    .selectFrom('triggers')
    .select(['id', 'source'])
    .where('app_id', '=', app_id)
    .where('type', '=', type)
    .$if(shape === undefined, (query) => query.where('source', '=', source))
    .$if(shape !== undefined, (query) => query.where(hasParameters))
    .execute()
  const holder = holders.find((it) => it.id !== id && (it.source === source || shapeOf(it.source) === shape))
  if (holder)
    throw new SluiceError('conflict', 'Trigger with the same type and source exists on this app', {
      detail: `${type} source ${source} is taken in app ${app_id} by trigger ${holder.id} with ${holder.source}`,
    })
}

/** Of few sources; which of them take the same paths is then asked of the matcher. */
const hasParameters = sql<SqlBool>`(source like '%/:%' or source like '%/*%')`

async function refuseTakenName(trx: Kysely<Tables>, { id, fn_id, name }: Trigger): Promise<void> {
  const holder = await trx
    .selectFrom('triggers')
    .select('id')
    .where('fn_id', '=', fn_id)
    .where('name', '=', name)
    .executeTakeFirst()
  if (holder && holder.id !== id)
    throw new SluiceError('conflict', 'Trigger already exists', {
      detail: `trigger name ${name} is taken on fn ${fn_id}`,
    })
}

async function find(db: Kysely<Tables>, id: string): Promise<Trigger | undefined> {
  const row = await db.selectFrom('triggers').select('doc').where('id', '=', id).executeTakeFirst()
  return row && fromRow(row)
}

const toRow = (trigger: Trigger): Tables['triggers'] => ({
  id: trigger.id,
  app_id: trigger.app_id,
  fn_id: trigger.fn_id,
  name: trigger.name,
  type: trigger.type,
  source: trigger.source,
  doc: JSON.stringify(trigger),
})

const fromRow = ({ doc }: { doc: string }): Trigger => JSON.parse(doc) as Trigger
