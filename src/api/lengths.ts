import type { FastifyRequest } from 'fastify'
import { SluiceError } from '../core/errors.ts'
import { MAX_ID } from '../core/routes.ts'
import { notFound } from './context.ts'

/** Bytes of a request target under `/v2`: the longest name, source and cursor fit, escaped. */
export const MAX_TARGET = 16_384
/** Bytes of a trigger's source and of a function's image: nodes keep them in memory. */
export const MAX_SOURCE = 1_024
export const MAX_IMAGE = 1_024

const THINGS: readonly (readonly [string, string])[] = [
  ['/v2/apps/', 'App'],
  ['/v2/fns/', 'Fn'],
  ['/v2/triggers/', 'Trigger'],
]

/**
 * Refuses what is too long to name anything, before the body is read or the store is asked.
 * @throws SluiceError `invalid` for the target, `not-found` for an id
 */
export function refuseLong({ url, params }: FastifyRequest): void {
  if (url.length > MAX_TARGET)
    throw new SluiceError('invalid', undefined, {
      detail: `the path and query must be at most ${MAX_TARGET} bytes, got ${url.length}`,
    })
  const { id = '' } = (params ?? {}) as { id?: string }
  if (id.length <= MAX_ID) return
  const [, thing = 'Resource'] = THINGS.find(([path]) => url.startsWith(path)) ?? []
  throw notFound(thing, id)
}
