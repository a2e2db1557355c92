import { SluiceError } from '../../core/errors.ts'
import { bundleDigest, type Fn } from '../../core/words.ts'
import type { Database } from '../database.ts'
import type { AppStore, BundleStore, FnStore } from '../store.ts'
import { resourceRows } from './resources.ts'
import type { Tables } from './tables.ts'

interface Parents {
  readonly apps: AppStore
  readonly bundles: BundleStore
}

export function fnStore(database: Database<Tables>, { apps, bundles }: Parents): FnStore {
  const rows = resourceRows<Fn, 'fns'>(database, {
    table: 'fns',
    toRow: (fn) => ({
      id: fn.id,
      app_id: fn.app_id,
      name: fn.name,
      bundle: bundleDigest(fn.image) ?? null,
      doc: JSON.stringify(fn),
    }),
    async refusal({ id, app_id, name, image }) {
      if (!(await apps.get(app_id))) return noApp(app_id)
      const digest = bundleDigest(image)
      if (digest !== undefined && !(await bundles.has(digest)))
        return new SluiceError('invalid', 'Bundle not found', {
          detail: `fn image must name a stored bundle: upload it first (PUT /v2/bundles/${digest}), got ${image}`,
        })
      const holder = await rows.find({ app_id, name })
      if (!holder || holder.id === id) return undefined
      return new SluiceError('conflict', 'Fn with specified name already exists', {
        detail: `fn name ${name} is taken in app ${app_id}`,
      })
    },
  })
  return { ...rows, list: (page) => rows.list(page, { app_id: page.appId }) }
}

export const noApp = (id: string): SluiceError =>
  new SluiceError('not-found', 'App not found', { detail: `there is no app ${id}` })
