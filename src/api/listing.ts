import { SluiceError } from '../core/errors.ts'
import type { Page } from '../store/store.ts'
import { quote } from './check.ts'

export interface List<T> {
  readonly items: readonly T[]
  /** Opaque to clients; absent at the end. */
  readonly next_cursor?: string
}

/** The query of a request target; of a name given twice, the first counts. */
export function queryOf(target: string): URLSearchParams {
  const start = target.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : target.slice(start))
}

/** @throws SluiceError `invalid` for a cursor that no list has given */
export function pageOf(query: URLSearchParams): Page {
  const cursor = query.get('cursor')
  return {
    limit: limitOf(query.get('per_page')),
    name: query.get('name') || undefined,
    after: cursor ? decodeCursor(cursor) : undefined,
  }
}

/** A full page has a cursor, though nothing may follow. */
export function listOf<T extends { readonly name: string; readonly id: string }>(
  items: readonly T[],
  { limit }: Page,
): List<T> {
  const last = items.at(-1)
  return last && items.length === limit ? { items, next_cursor: encodeCursor(last) } : { items }
}

function limitOf(text: string | null): number {
  const number = /^[+-]?\d+$/.test(text ?? '') ? Number(text) : 0
  return number > 0 ? Math.min(number, 100) : 30
}

const encodeCursor = ({ name, id }: { readonly name: string; readonly id: string }): string =>
  Buffer.from(JSON.stringify([name, id])).toString('base64url')

function decodeCursor(cursor: string): { name: string; id: string } {
  try {
    const [name, id, ...rest] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (typeof name === 'string' && typeof id === 'string' && rest.length === 0) return { name, id }
  } catch {
    // Refused below.
  }
  throw new SluiceError('invalid', 'Invalid cursor', {
    detail: `cursor must be the next_cursor of a list, got ${quote(cursor)}`,
  })
}
