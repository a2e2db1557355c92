import type { FastifyRequest } from 'fastify'
import { SluiceError } from '../core/errors.ts'

/** Bytes of a request target under `/v2`: the longest name, source and cursor fit, escaped. */
const MAX_TARGET = 16_384
/** Bytes of a trigger's source and of a function's image: nodes keep them in memory. */
export const MAX_SOURCE = 1_024
export const MAX_IMAGE = 1_024

/** Refuses it before the body is read. @throws SluiceError `invalid` */
export function refuseLong({ url }: FastifyRequest): void {
  if (url.length > MAX_TARGET)
    throw new SluiceError('invalid', undefined, {
      detail: `the path and query must be at most ${MAX_TARGET} bytes, got ${url.length}`,
    })
}
