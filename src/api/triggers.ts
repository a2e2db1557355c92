import type { FastifyInstance, FastifyRequest } from 'fastify'
import { faultOfSource } from '../core/routes.ts'
import type { Trigger } from '../core/words.ts'
import { checkAnnotations, HTTP_ENDPOINT, withoutEndpoints } from './annotations.ts'
import { serveById } from './by-id.ts'
import { byteLength, check } from './check.ts'
import { type ApiOptions, NO_HEAD, notFound, timeOf } from './context.ts'
import { baseOf, httpEndpoint } from './endpoints.ts'
import { type Body, readBody, text, time, values } from './json.ts'
import { MAX_SOURCE } from './lengths.ts'
import { listOf, pageOf, queryOf } from './listing.ts'
import { mergeKeys } from './merge.ts'

const FIELDS = {
  id: text,
  name: text,
  app_id: text,
  fn_id: text,
  type: text,
  source: text,
  annotations: values,
  created_at: time,
  updated_at: time,
} as const

type TriggerBody = Body<typeof FIELDS>

/** `/triggers`, `/triggers/{id}` and the look-up by source. */
export function serveTriggers(fastify: FastifyInstance, options: ApiOptions): void {
  const { store, clock, makeId, publicUrl } = options

  /** How replies show triggers of one app. */
  const shower = async (request: FastifyRequest, appId: string) => {
    const app = await store.apps.get(appId)
    return (trigger: Trigger) => showTrigger(trigger, baseOf(request, publicUrl), app?.name ?? '')
  }

  fastify.post('/triggers', async (request) => {
    const body = readBody(request.body, FIELDS)
    refuseGiven(body)
    const trigger = newTrigger(body, makeId(), timeOf(clock))
    checkTrigger(trigger)
    await store.triggers.insert(trigger)
    return (await shower(request, trigger.app_id))(trigger)
  })

  fastify.get('/triggers', NO_HEAD, async (request) => {
    const query = queryOf(request.url)
    const appId = query.get('app_id') ?? ''
    check(appId !== '', 'Missing App ID on Trigger', 'query app_id', 'be given', appId)
    const page = pageOf(query)
    const fnId = query.get('fn_id') || undefined
    const triggers = await store.triggers.list({ ...page, appId, fnId })
    return listOf(triggers.map(await shower(request, appId)), page)
  })

  serveById(fastify, clock, {
    path: '/triggers',
    thing: 'Trigger',
    fields: FIELDS,
    rows: store.triggers,
    otherId: 'ID in path does not match ID in body',
    merge: mergeTrigger,
    check: checkTrigger,
    show: async (trigger, request) => (await shower(request, trigger.app_id))(trigger),
  })

  // The slash before the source is a separator: a source of "/x" is asked for with "//x".
  fastify.get<{ Params: { appId: string; type: string; '*': string } }>(
    '/runner/apps/:appId/triggerBySource/:type/*',
    NO_HEAD,
    async (request) => {
      const { appId, type, '*': source } = request.params
      const trigger = await store.triggers.bySource(appId, type, source)
      if (!trigger) throw notFound('Trigger', source)
      return (await shower(request, appId))(trigger)
    },
  )
}

function refuseGiven({ id, created_at, updated_at }: TriggerBody): void {
  check(!id, 'ID cannot be provided for Trigger creation', 'trigger id', 'not be given', id)
  check(
    !created_at,
    'Trigger Created At Provided for Create',
    'trigger created_at',
    'not be given',
    created_at,
  )
  // The text names another field; clients may match it.
  check(!updated_at, 'Trigger ID Provided for Create', 'trigger updated_at', 'not be given', updated_at)
}

const newTrigger = (body: TriggerBody, id: string, now: string): Trigger => ({
  id,
  name: body.name ?? '',
  app_id: body.app_id ?? '',
  fn_id: body.fn_id ?? '',
  type: body.type ?? '',
  source: body.source ?? '',
  annotations: withoutEndpoints(body.annotations),
  created_at: now,
  updated_at: now,
})

/** Empty means "leave"; app and type stay whatever is sent. */
const mergeTrigger = (trigger: Trigger, body: TriggerBody): Trigger => ({
  ...trigger,
  name: body.name || trigger.name,
  fn_id: body.fn_id || trigger.fn_id,
  source: body.source || trigger.source,
  annotations: mergeKeys(trigger.annotations, withoutEndpoints(body.annotations)),
})

function checkTrigger(trigger: Trigger): void {
  const { app_id, name, fn_id, type, source } = trigger
  check(app_id !== '', 'Missing App ID on Trigger', 'trigger app_id', 'be given', app_id)
  check(name !== '', 'Missing name on Trigger', 'trigger name', 'be given', name)
  check(
    byteLength(name) <= 255,
    'Trigger name must be 255 characters or less',
    'trigger name',
    'be at most 255 bytes',
    name,
  )
  check(
    /^[\p{L}\p{Nd}_-]+$/u.test(name),
    'Invalid name for Trigger',
    'trigger name',
    'have only letters, digits, "_" and "-"',
    name,
  )
  check(fn_id !== '', 'Missing Fn ID on Trigger', 'trigger fn_id', 'be given', fn_id)
  check(type === 'http', 'Trigger Type Not Supported', 'trigger type', 'be "http"', type)
  check(source !== '', 'Missing Trigger Source', 'trigger source', 'be given', source)
  check(
    source.startsWith('/'),
    "Missing Trigger Source Prefix '/'",
    'trigger source',
    'start with "/"',
    source,
  )
  check(
    byteLength(source) <= MAX_SOURCE,
    'Invalid Trigger Source',
    'trigger source',
    `be at most ${MAX_SOURCE} bytes`,
    source,
  )
  const fault = faultOfSource(source)
  check(fault === undefined, 'Invalid Trigger Source', 'trigger source', fault ?? '', source)
  checkAnnotations('trigger', trigger.annotations)
}

const showTrigger = (trigger: Trigger, base: string, app: string) => ({
  ...trigger,
  annotations: { ...trigger.annotations, [HTTP_ENDPOINT]: httpEndpoint(base, app, trigger.source) },
})
