import { SluiceError } from '../../core/errors.ts'
import type { App } from '../../core/words.ts'
import type { Database } from '../database.ts'
import type { AppStore } from '../store.ts'
import { resourceRows } from './resources.ts'
import type { Tables } from './tables.ts'

export function appStore(database: Database<Tables>): AppStore {
  const rows = resourceRows<App, 'apps'>(database, {
    table: 'apps',
    toRow: (app) => ({ id: app.id, name: app.name, doc: JSON.stringify(app) }),
    async refusal({ id, name }) {
      const holder = await rows.find({ name })
      if (!holder || holder.id === id) return undefined
      return new SluiceError('conflict', 'App already exists', { detail: `app name ${name} is taken` })
    },
  })
  return { ...rows, byName: (name) => rows.find({ name }) }
}
