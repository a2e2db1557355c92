import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SluiceError } from '../core/errors.ts'

/** Which web pages may use the API. In both lists `*` stands for all. */
export interface CorsOptions {
  /** As browsers send them: `https://app.example.com`. Empty = no page, and no header says anything. */
  readonly origins: readonly string[]
  /** Request headers that those pages may set. Empty = `Authorization` and `Content-Type`. */
  readonly headers: readonly string[]
}

const METHODS = 'GET, POST, PUT, HEAD, DELETE'
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
const USUAL_HEADERS = ['Authorization', 'Content-Type']
/** Seconds for which a browser need not ask again. */
const MAX_AGE = '600'

/**
 * Tells browsers which pages may read what this part of the API answers, its errors too (Fetch standard, "CORS
 * protocol"). To be installed before what asks for a token: a browser asks ahead without one. A page that is not
 * allowed is answered like anybody, without a header that would let it read the answer. Cookies play no part.
 */
export function allowOrigins(fastify: FastifyInstance, { origins, headers }: CorsOptions): void {
  if (origins.length === 0) return
  const allowed = headers.length === 0 ? USUAL_HEADERS : headers

  fastify.addHook('onRequest', async (request, reply) => {
    const allows = allowOrigin(request, reply, origins)
    if (request.method !== 'OPTIONS') return
    const wanted = request.headers['access-control-request-method']
    if (wanted === undefined || request.headers.origin === undefined) return reply.callNotFound()
    if (allows) answerAhead(request, reply, allowed)
    return reply.code(204).send()
  })
  // So that the hook sees it; no path of its own.
  fastify.options('/*', (_, reply) => reply.callNotFound())
}

/**
 * Refuses changes that a foreign page asks for without a token: a browser sends such a request without asking ahead
 * when it looks like a form, and a node on loopback has no other way to tell who sent it.
 * @throws SluiceError `forbidden`
 */
export function refuseForeign({ headers, method }: FastifyRequest, origins: readonly string[] = []): void {
  const { authorization, host, origin } = headers
  if (origin === undefined || authorization !== undefined || READING.has(method)) return
  if (origins.includes('*') || origins.includes(origin)) return
  if (URL.parse(origin)?.host === host?.toLowerCase()) return
  throw new SluiceError('forbidden', undefined, {
    detail: `a page of ${origin} may change nothing here; FN_API_CORS_ORIGINS says which may`,
  })
}

/** @returns whether the page that asks may */
function allowOrigin({ headers }: FastifyRequest, reply: FastifyReply, origins: readonly string[]): boolean {
  const { origin } = headers
  const all = origins.includes('*')
  // What one page may see must not come from a cache to another.
  if (!all) reply.header('vary', 'Origin')
  if (origin === undefined || !(all || origins.includes(origin))) return false
  reply.header('access-control-allow-origin', all ? '*' : origin)
  return true
}

/** The answer to a browser that asks ahead what it may send. */
function answerAhead({ headers }: FastifyRequest, reply: FastifyReply, allowed: readonly string[]): void {
  reply.header('access-control-allow-methods', METHODS)
  reply.header('access-control-max-age', MAX_AGE)
  const asked = headers['access-control-request-headers']
  // To browsers a lone `*` leaves out Authorization.
  const names = allowed.includes('*') ? asked : allowed.join(', ')
  if (names !== undefined) reply.header('access-control-allow-headers', names)
}
