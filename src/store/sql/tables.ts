import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Page, Store } from '../store.ts'

/**
 * What a SQL store keeps: a resource is one JSON text, beside it the columns that queries ask for.
 * Each adapter creates these tables in its own dialect, with the keys that {@link Store} promises, cascades and a
 * counter that grows with every change of the first three.
 */
export interface Tables {
  apps: { id: string; name: string; doc: string }
  fns: { id: string; app_id: string; name: string; bundle: string | null; doc: string }
  triggers: {
    id: string
    app_id: string
    fn_id: string
    name: string
    type: string
    source: string
    /** What it is unique by, see {@link pathsOf}. */
    paths: string
    doc: string
  }
  /** Those whose parts are all there. */
  bundles: { digest: string; put_at: number; size: number; upload: string }
  /** Of uploads that are running, were broken off, or have become a bundle. */
  bundle_parts: { upload: string; part: number; at: number; bytes: Uint8Array }
  changes: { count: number }
}

/** Whether a row belongs to the page, its length apart. Names compare by their UTF-8 bytes. */
export function within({ after, name }: Page): RawBuilder<SqlBool> {
  const next = after ? sql`(name, id) > (${after.name}, ${after.id})` : sql`true`
  return name === undefined ? sql`${next}` : sql`${next} and name = ${name}`
}
