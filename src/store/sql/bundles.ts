import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { SluiceError } from '../../core/errors.ts'
import type { Database } from '../database.ts'
import type { BundleStore } from '../store.ts'
import type { Tables } from './tables.ts'

/** Bytes of a part: what one statement moves. */
const PART = 1_048_576
/** Parts that are deleted at a time. */
const SWEPT_PARTS = 16

/**
 * Bundles in parts. Each is written by itself, so that nobody else's write waits for an upload; a bundle is there
 * once its row is, which comes last.
 */
export function bundleStore({ kysely: db }: Database<Tables>): BundleStore {
  const renew = async (digest: string, at: number) => {
    const { numUpdatedRows } = await db
      .updateTable('bundles')
      .set({ put_at: at })
      .where('digest', '=', digest)
      .executeTakeFirst()
    return numUpdatedRows > 0n
  }

  async function* partsOf(upload: string, size: number, signal: AbortSignal | undefined) {
    for (let part = 0, read = 0; read < size || part === 0; part++) {
      const row = await db
        .selectFrom('bundle_parts')
        .select('bytes')
        .where('upload', '=', upload)
        .where('part', '=', part)
        .executeTakeFirst({ signal })
      if (!row) throw new SluiceError('not-found', 'Bundle not found', { detail: 'it was deleted meanwhile' })
      read += row.bytes.length
      yield row.bytes
    }
  }

  const removeParts = (upload: string) =>
    db
      .deleteFrom('bundle_parts')
      .where('upload', '=', upload)
      .where(sql<boolean>`not exists (select 1 from bundles where bundles.upload = bundle_parts.upload)`)
      .execute()

  return {
    async put(digest, content, at, signal) {
      if (await renew(digest, at)) {
        for await (const _ of content) signal?.throwIfAborted()
        return
      }
      const upload = randomUUID()
      try {
        let [part, size] = [0, 0]
        for await (const bytes of inParts(content)) {
          await db.insertInto('bundle_parts').values({ upload, part, at, bytes }).execute({ signal })
          part++
          size += bytes.length
        }
        await db
          .insertInto('bundles')
          .values({ digest, put_at: at, size, upload })
          .onConflict((taken) => taken.column('digest').doUpdateSet({ put_at: at }))
          .execute({ signal })
      } finally {
        // Of one that was broken off, or that another upload of the same was quicker than.
        await removeParts(upload).catch(() => {})
      }
    },

    async get(digest) {
      const row = await db
        .selectFrom('bundles')
        .select(['size', 'upload'])
        .where('digest', '=', digest)
        .executeTakeFirst()
      return row && { size: row.size, read: (signal) => partsOf(row.upload, row.size, signal) }
    },

    async has(digest) {
      const row = await db
        .selectFrom('bundles')
        .select('digest')
        .where('digest', '=', digest)
        .executeTakeFirst()
      return row !== undefined
    },

    async sweep(before) {
      const swept = await db
        .deleteFrom('bundles')
        .where('put_at', '<', before)
        .where(sql<boolean>`not exists (select 1 from fns where fns.bundle = bundles.digest)`)
        .returning('digest')
        .execute()
      const { rows } = await sql<{ upload: string; part: number }>`
        select upload, part from bundle_parts where at < ${before}
        and not exists (select 1 from bundles where bundles.upload = bundle_parts.upload)`.execute(db)
      for (let i = 0; i < rows.length; i += SWEPT_PARTS) {
        const some = rows.slice(i, i + SWEPT_PARTS)
        await db
          .deleteFrom('bundle_parts')
          .where((eb) => eb.or(some.map((row) => eb.and(row))))
          .execute()
      }
      return swept.length
    },
  }
}

/** The same bytes in parts of one size, the last one apart; one empty part of nothing. */
async function* inParts(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let [size, any] = [0, false]
  for await (let bytes of content) {
    while (size + bytes.length >= PART) {
      const rest = PART - size
      yield Buffer.concat([...held, bytes.subarray(0, rest)])
      any = true
      held = []
      size = 0
      bytes = bytes.subarray(rest)
    }
    held.push(bytes)
    size += bytes.length
  }
  if (size > 0 || !any) yield Buffer.concat(held)
}
