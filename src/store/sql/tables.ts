import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Page } from '../store.ts'

/**
 * What a SQL store keeps: a resource is one JSON text, beside it the columns that queries ask for.
 * Each adapter creates these tables in its own dialect, with keys, cascades and a counter that grows
 * with every change of the first three.
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
    doc: string
  }
  bundles: { digest: string; put_at: number; tar: Uint8Array }
  changes: { count: number }
}

/** Whether a row belongs to the page, its length apart. Names compare by their UTF-8 bytes. */
export function within({ after, name }: Page): RawBuilder<SqlBool> {
  const next = after ? sql`(name, id) > (${after.name}, ${after.id})` : sql`true`
  return name === undefined ? sql`${next}` : sql`${next} and name = ${name}`
}
