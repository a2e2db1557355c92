import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../core/clock.ts'
import { MAX_ID } from '../core/routes.ts'
import { check } from './check.ts'
import { type ById, NO_HEAD, notFound, timeOf } from './context.ts'
import { type Body, type Fields, readBody, type text } from './json.ts'

/** One kind of resource, as far as it is read, changed and deleted by its id. */
export interface Kind<T, F extends Fields & { readonly id: typeof text }> {
  /** Of all of them: `/apps`. */
  readonly path: string
  /** `App`, `Fn`, `Trigger`. */
  readonly thing: string
  readonly fields: F
  readonly rows: {
    get(id: string): Promise<T | undefined>
    update(id: string, change: (item: T) => T | undefined): Promise<T | undefined>
    remove(id: string): Promise<boolean>
  }
  /** What a body with another id than the path is answered with. */
  readonly otherId: string
  /** @throws SluiceError for a change that is not allowed */
  merge(current: T, body: Body<F>): T
  /** @throws SluiceError `invalid` */
  check(merged: T): void
  /** As replies show it. */
  show(item: T, request: FastifyRequest): unknown
}

/** `{path}/{id}`. Times change only when something did. */
export function serveById<T, F extends Fields & { readonly id: typeof text }>(
  fastify: FastifyInstance,
  clock: Clock,
  kind: Kind<T, F>,
): void {
  const { thing, fields, rows, show } = kind
  const path = `${kind.path}/:id`
  /** What is too long names nothing: neither is its body read nor the store asked. */
  const onRequest = async ({ params }: FastifyRequest) => {
    const { id } = params as ById['Params']
    if (id.length > MAX_ID) throw notFound(thing, id)
  }

  fastify.get<ById>(path, { ...NO_HEAD, onRequest }, async (request) => {
    const { id } = request.params
    const item = await rows.get(id)
    if (!item) throw notFound(thing, id)
    return show(item, request)
  })

  fastify.put<ById>(path, { onRequest }, async (request) => {
    const { id } = request.params
    const body = readBody(request.body, fields)
    const rule = `equal the path's ${id} or be left out`
    check(!body.id || body.id === id, kind.otherId, `${thing.toLowerCase()} id`, rule, body.id)
    const item = await rows.update(id, (current) => {
      const merged = kind.merge(current, body)
      kind.check(merged)
      return isDeepStrictEqual(merged, current) ? undefined : { ...merged, updated_at: timeOf(clock) }
    })
    if (!item) throw notFound(thing, id)
    return show(item, request)
  })

  fastify.delete<ById>(path, { onRequest }, async ({ params: { id } }, reply) => {
    if (!(await rows.remove(id))) throw notFound(thing, id)
    return reply.code(204).send()
  })
}
