import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { errorReply } from '../core/error-reply.ts'
import { ERRORS, messageOf, SluiceError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { hostCheck } from '../host/known-hosts.ts'
import { tokenCheck, unauthorized } from '../host/token.ts'
import type { Metrics } from './metrics.ts'
import type { StatsPage } from './stats.ts'

/** The nodes of a running balancer, by name (`host:port`). */
export interface NodeList {
  /** Presumed online until checks say otherwise; adding one twice is fine. @throws SluiceError `invalid` */
  add(name: string): void
  /** Forgets it; removing an unknown one is fine. @throws SluiceError `invalid` */
  remove(name: string): void
  list(): Readonly<Record<string, 'online' | 'offline'>>
}

export interface BalancerStats extends StatsPage {
  /** Requests outstanding per node. */
  readonly inflight: Readonly<Record<string, number>>
}

export interface AdminOptions {
  readonly nodes: NodeList
  stats(since?: string): BalancerStats
  readonly metrics: Metrics
  readonly token: string | undefined
  /** What it goes by without a token, besides the loopback names. */
  readonly hosts?: readonly string[] | undefined
  readonly version: string
  readonly log: Logger
}

/** The admin port: `/1/lb/*` and `/metrics` behind the token, and what a probe asks. */
export function adminServer(options: AdminOptions): FastifyInstance {
  const { nodes, stats, metrics, token, hosts, version, log } = options
  const app = fastify({ forceCloseConnections: true })
  // Clients of 2017 send their JSON under any content type, or none.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => done(null, text))
  app.setNotFoundHandler(async (_request, reply) => {
    return answer(reply, new SluiceError('path-not-found'))
  })
  app.setErrorHandler(async (thrown, _request, reply) => {
    const error = known(thrown)
    if (error.code === 'internal') log.error({ error: messageOf(thrown) }, 'admin request failed')
    return answer(reply, error)
  })

  app.get('/version', async () => ({ version }))
  app.get('/healthz', async () => ({ status: 'ok' }))

  const allowed = tokenCheck(token)
  const checkHost = hostCheck(token, hosts)
  app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request) => {
      checkHost(request.headers.host)
      if (!allowed(request.headers.authorization)) throw unauthorized(request.headers.authorization)
    })
    guarded.get('/1/lb/nodes', async () => ({ nodes: nodes.list() }))
    guarded.put('/1/lb/nodes', async ({ body }) => {
      nodes.add(nodeOf(body))
      return { msg: 'node added' }
    })
    guarded.delete('/1/lb/nodes', async ({ body }) => {
      nodes.remove(nodeOf(body))
      return { msg: 'node deleted' }
    })
    guarded.get('/1/lb/stats', async ({ query }) => stats(sinceOf(query)))
    guarded.get('/metrics', async (_request, reply) => {
      reply.type(metrics.contentType)
      return metrics.text()
    })
  })
  return app
}

/** `msg` is what clients of 2017 read. */
function answer(reply: FastifyReply, error: SluiceError): FastifyReply {
  const { status, headers, body } = errorReply(error, { more: { msg: error.detail ?? error.message } })
  for (let i = 0; i < headers.length; i += 2) reply.header(headers[i] as string, headers[i + 1])
  return reply.code(status).send(body)
}

/** The framework's own complaints about a request are the client's, not ours. */
function known(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const status = thrown instanceof Error && 'statusCode' in thrown ? Number(thrown.statusCode) : 500
  if (status === 413) return new SluiceError('too-large', undefined, { cause: thrown })
  if (status >= 400 && status < 500)
    return new SluiceError('invalid', ERRORS.invalid.message, { cause: thrown, detail: messageOf(thrown) })
  return SluiceError.from(thrown)
}

function nodeOf(body: unknown): string {
  const value = parse(typeof body === 'string' ? body : '')
  const node = typeof value === 'object' && value !== null && 'node' in value ? value.node : undefined
  if (typeof node === 'string') return node
  throw new SluiceError('invalid', undefined, { detail: 'the body must be {"node":"host:port"}' })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new SluiceError('invalid-json', undefined, { cause: error, detail: messageOf(error) })
  }
}

function sinceOf(query: unknown): string | undefined {
  const since = typeof query === 'object' && query !== null && 'since' in query ? query.since : undefined
  return typeof since === 'string' ? since : undefined
}
