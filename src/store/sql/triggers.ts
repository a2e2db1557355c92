import { SluiceError } from '../../core/errors.ts'
import type { Trigger } from '../../core/words.ts'
import type { Database } from '../database.ts'
import type { AppStore, FnStore, TriggerStore } from '../store.ts'
import { noApp } from './fns.ts'
import { pathsOf } from './paths.ts'
import { resourceRows } from './resources.ts'
import type { Tables } from './tables.ts'

interface Parents {
  readonly apps: AppStore
  readonly fns: FnStore
}

export function triggerStore(database: Database<Tables>, { apps, fns }: Parents): TriggerStore {
  const rows = resourceRows<Trigger, 'triggers'>(database, {
    table: 'triggers',
    toRow: (trigger) => ({
      id: trigger.id,
      app_id: trigger.app_id,
      fn_id: trigger.fn_id,
      name: trigger.name,
      type: trigger.type,
      source: trigger.source,
      paths: pathsOf(trigger.source),
      doc: JSON.stringify(trigger),
    }),
    /** Parents first, then the source, then the name. */
    refusal: async (trigger) =>
      ((await await apps.get(trigger.app_id)) ? undefined : noApp(trigger.app_id)) ??
      (await misfit(trigger)) ??
      (await takenSource(trigger)) ??
      (await takenName(trigger)),
  })

  const misfit = async ({ app_id, fn_id }: Trigger): Promise<SluiceError | undefined> => {
    const fn = await fns.get(fn_id)
    if (!fn) return new SluiceError('not-found', 'Fn not found', { detail: `there is no fn ${fn_id}` })
    if (fn.app_id === app_id) return undefined
    return new SluiceError('invalid', 'Invalid Fn ID - not owned by specified app', {
      detail: `trigger fn_id must be a fn of app ${app_id}, got ${fn_id} of app ${fn.app_id}`,
    })
  }

  const takenSource = async ({ id, app_id, type, source }: Trigger): Promise<SluiceError | undefined> => {
    const holder = await rows.find({ app_id, type, paths: pathsOf(source) })
    if (!holder || holder.id === id) return undefined
    return new SluiceError('conflict', 'Trigger with the same type and source exists on this app', {
      detail: `${type} source ${source} is taken in app ${app_id} by trigger ${holder.id} with ${holder.source}`,
    })
  }

  const takenName = async ({ id, fn_id, name }: Trigger): Promise<SluiceError | undefined> => {
    const holder = await rows.find({ fn_id, name })
    if (!holder || holder.id === id) return undefined
    return new SluiceError('conflict', 'Trigger already exists', {
      detail: `trigger name ${name} is taken on fn ${fn_id}`,
    })
  }

  return {
    ...rows,
    bySource: (app_id, type, source) => rows.find({ app_id, type, paths: pathsOf(source), source }),
    sources: (appId, type) =>
      database.kysely
        .selectFrom('triggers')
        .select(['source', 'fn_id'])
        .where('app_id', '=', appId)
        .where('type', '=', type)
        .execute(),
    list: (page) => rows.list(page, { app_id: page.appId, fn_id: page.fnId }),
  }
}
