import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify'
import { errorReply } from '../core/error-reply.ts'
import { SluiceError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { pathOf, RouteList } from './paths.ts'

/** What `fastify` must be made with, so that targets that never reach a route are answered alike, and long ids are looked up. */
export const FASTIFY_OPTIONS: Pick<FastifyServerOptions, 'frameworkErrors' | 'routerOptions'> = {
  frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void =>
    void sendError(reply, toSluiceError(error, request)),
  routerOptions: { maxParamLength: 1_024 },
}

/** Characters of what was asked for that an error repeats. */
const LONGEST_ECHO = 1_024

/**
 * Answers every error of `fastify` as `{ message, detail? }`, and unknown paths and verbs with 404, 405 or a redirect.
 * To be installed before any route. What is unexpected is logged and its text kept from the client.
 */
export function jsonErrors(fastify: FastifyInstance, log: Logger): void {
  const routes = new RouteList()
  // A route for OPTIONS serves browsers that ask ahead (cors.ts), and makes no path one that is there.
  fastify.addHook('onRoute', ({ url, method }) =>
    routes.add(
      url,
      [method].flat().filter((verb) => verb !== 'OPTIONS'),
    ),
  )

  fastify.setErrorHandler((error, request, reply) => {
    const known = toSluiceError(error, request)
    if (known.status >= 500) logFailure(log, known, request)
    return sendError(reply, known)
  })

  const answerUnknown = async (request: FastifyRequest, reply: FastifyReply) => {
    const path = pathOf(request.url)
    const { method } = request
    const bare = path.slice(0, -1)
    if (path.endsWith('/') && routes.methodsOf(bare).has(method)) {
      const query = request.url.slice(path.length)
      return reply.redirect(bare + query, method === 'GET' ? 301 : 307)
    }
    const shown = `${method} ${decode(path).slice(0, LONGEST_ECHO)}`
    return routes.methodsOf(path).size > 0
      ? sendError(reply, new SluiceError('method-not-allowed', `Method not allowed: ${shown}`))
      : sendError(reply, new SluiceError('path-not-found', `Path not found: ${shown}`))
  }
  // Before the body is looked at: what it holds is no reason for another answer.
  fastify.addHook('onRequest', async (request, reply) => {
    if (request.is404 || hasEmptyParam(request)) return answerUnknown(request, reply)
  })
  fastify.setNotFoundHandler(answerUnknown)
}

/** `/v2/apps/` is no app with an empty id. */
const hasEmptyParam = ({ params }: FastifyRequest): boolean =>
  Object.entries(params ?? {}).some(([name, value]) => value === '' && name !== '*')

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function toSluiceError(error: unknown, request: FastifyRequest): SluiceError {
  if (error instanceof SluiceError) return error
  const { code, statusCode = 500, message } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new SluiceError('too-large', undefined, {
      detail: `the body must be at most ${request.routeOptions.bodyLimit} bytes`,
    })
  // What the HTTP layer found wrong with the request.
  if (statusCode >= 400 && statusCode < 500)
    return new SluiceError('invalid', undefined, { detail: message?.slice(0, LONGEST_ECHO), cause: error })
  return SluiceError.from(error)
}

function logFailure(log: Logger, error: SluiceError, { method, url }: FastifyRequest): void {
  const fields = { err: error.cause ?? error, code: error.code, method, path: pathOf(url) }
  log.error(fields, 'request failed')
}

function sendError(reply: FastifyReply, error: SluiceError): FastifyReply {
  const { status, headers, body } = errorReply(error)
  for (let i = 0; i < headers.length; i += 2) reply.header(headers[i] as string, headers[i + 1])
  return reply.code(status).send(body)
}
