import type { FastifyRequest } from 'fastify'

/** Where clients reach this server: what was configured, else what this request was sent to. */
export const baseOf = (request: FastifyRequest, publicUrl: string | undefined): string =>
  publicUrl?.replace(/\/+$/, '') ?? `${request.protocol}://${request.host}`

export const invokeEndpoint = (base: string, fnId: string): string => `${base}/invoke/${fnId}`

export const httpEndpoint = (base: string, app: string, source: string): string =>
  `${base}/t/${escapePath(app)}${escapePath(source)}`

/** A path as it stands in a URL: what it decodes to is the path. */
const escapePath = (path: string): string => encodeURI(path).replaceAll('?', '%3F').replaceAll('#', '%23')
