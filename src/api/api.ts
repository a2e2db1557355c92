import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import { SluiceError } from '../core/errors.ts'
import { unauthorized } from '../host/token.ts'
import { serveApps } from './apps.ts'
import { serveBundles } from './bundles.ts'
import { type ApiOptions, NO_HEAD } from './context.ts'
import { allowOrigins, refuseForeign } from './cors.ts'
import { serveFns } from './fns.ts'
import { refuseLong } from './lengths.ts'
import { serveTriggers } from './triggers.ts'

export type { ApiOptions } from './context.ts'

const MIB = 1024 * 1024
/** No resource needs more; without a limit one request could take all memory. */
const MAX_JSON_SIZE = 8 * MIB

/** The v2 management API: `/` and everything under `/v2`. Errors are answered by `jsonErrors`, installed first. */
export function apiPlugin(options: ApiOptions): FastifyPluginAsync {
  return async (fastify) => {
    fastify.get('/', NO_HEAD, () => ({ goto: 'https://github.com/fnproject/fn', hello: 'world!' }))
    await fastify.register(async (v2) => serveV2(v2, options), { prefix: '/v2' })
  }
}

function serveV2(v2: FastifyInstance, options: ApiOptions): void {
  const { allowed, maxRequestSize, maxBundleSize = 100 * MIB } = options
  const limit = (size: number) => (maxRequestSize > 0 ? Math.min(size, maxRequestSize) : size)

  v2.addHook('onRoute', (route) => {
    route.bodyLimit ??= limit(MAX_JSON_SIZE)
  })
  if (options.cors) allowOrigins(v2, options.cors)
  v2.addHook('onRequest', async (request) => {
    if (!allowed(request.headers.authorization)) throw unauthorized(request.headers.authorization)
    refuseForeign(request, options.cors?.origins)
    refuseLong(request)
    refuseLarge(request)
    // The path says what a body is. Of its own Fastify would refuse what is no media type.
    delete request.raw.headers['content-type']
  })
  v2.removeAllContentTypeParsers()
  v2.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) => body)

  serveApps(v2, options)
  serveFns(v2, options)
  serveTriggers(v2, options)
  serveBundles(v2, options, limit(maxBundleSize))
  serveGone(v2)
}

/** Refuses before a byte of the body is read: the reply then reaches a client that is still sending. */
function refuseLarge({ headers, routeOptions }: FastifyRequest): void {
  const length = Number(headers['content-length'] ?? 0)
  const max = routeOptions.bodyLimit ?? 0
  if (length > max)
    throw new SluiceError('too-large', `Content-Length too large for this server, ${length} > max ${max}`, {
      detail: `the body must be at most ${max} bytes, got ${length}`,
    })
}

/** What once told of calls and logs. */
function serveGone(v2: FastifyInstance): void {
  for (const path of ['/fns/:id/calls', '/fns/:id/calls/:call', '/fns/:id/calls/:call/log'])
    v2.get(path, NO_HEAD, (_, reply) => void reply.code(410).send())
}
