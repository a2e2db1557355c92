import type { FastifyInstance } from 'fastify'
import { FN_LIMITS, type Fn } from '../core/words.ts'
import { checkAnnotations, INVOKE_ENDPOINT, withoutEndpoints } from './annotations.ts'
import { serveById } from './by-id.ts'
import { byteLength, check } from './check.ts'
import { checkConfig } from './config.ts'
import { type ApiOptions, NO_HEAD, notFound, timeOf } from './context.ts'
import { baseOf, invokeEndpoint } from './endpoints.ts'
import { type Body, count, readBody, text, texts, time, values, whole } from './json.ts'
import { MAX_IMAGE } from './lengths.ts'
import { listOf, pageOf, queryOf } from './listing.ts'
import { mergeKeys } from './merge.ts'
import { checkSettings, mergeSettings, SETTING_FIELDS } from './settings.ts'

const FIELDS = {
  id: text,
  name: text,
  app_id: text,
  image: text,
  memory: count,
  timeout: whole,
  idle_timeout: whole,
  config: texts,
  annotations: values,
  shape: text,
  created_at: time,
  updated_at: time,
  ...SETTING_FIELDS,
} as const

type FnBody = Body<typeof FIELDS>

/** `/fns` and `/fns/{id}`. */
export function serveFns(fastify: FastifyInstance, options: ApiOptions): void {
  const { store, clock, makeId, publicUrl } = options

  fastify.post('/fns', async (request) => {
    const body = readBody(request.body, FIELDS)
    check(!body.id, 'ID cannot be provided for Fn creation', 'fn id', 'not be given', body.id)
    const fn = newFn(body, makeId(), timeOf(clock))
    checkFn(fn)
    const app = await store.apps.get(fn.app_id)
    if (!app) throw notFound('App', fn.app_id)
    const shaped = { ...fn, shape: app.shape }
    await store.fns.insert(shaped)
    return showFn(shaped, baseOf(request, publicUrl))
  })

  fastify.get('/fns', NO_HEAD, async (request) => {
    const query = queryOf(request.url)
    const appId = query.get('app_id') ?? ''
    check(appId !== '', 'Missing AppID on Fn', 'query app_id', 'be given', appId)
    const page = pageOf(query)
    const fns = await store.fns.list({ ...page, appId })
    const base = baseOf(request, publicUrl)
    return listOf(
      fns.map((fn) => showFn(fn, base)),
      page,
    )
  })

  serveById(fastify, clock, {
    path: '/fns',
    thing: 'Fn',
    fields: FIELDS,
    rows: store.fns,
    otherId: 'Fn ID in path does not match that in body',
    merge: mergeFn,
    check: checkFn,
    show: (fn, request) => showFn(fn, baseOf(request, publicUrl)),
  })
}

/** Zero means the default. */
const newFn = (body: FnBody, id: string, now: string): Fn => ({
  id,
  name: body.name ?? '',
  app_id: body.app_id ?? '',
  image: body.image ?? '',
  memory: body.memory || FN_LIMITS.memory,
  timeout: body.timeout || FN_LIMITS.timeout,
  idle_timeout: body.idle_timeout || FN_LIMITS.idle_timeout,
  config: body.config ?? {},
  annotations: withoutEndpoints(body.annotations),
  shape: '',
  created_at: now,
  updated_at: now,
  ...mergeSettings(body),
})

/** Empty and zero mean "leave"; name, app and shape stay whatever is sent. */
const mergeFn = (fn: Fn, body: FnBody): Fn => ({
  ...fn,
  image: body.image || fn.image,
  memory: body.memory || fn.memory,
  timeout: body.timeout || fn.timeout,
  idle_timeout: body.idle_timeout || fn.idle_timeout,
  config: mergeKeys(fn.config, body.config),
  annotations: mergeKeys(fn.annotations, withoutEndpoints(body.annotations)),
  ...mergeSettings(body, fn),
})

function checkFn(fn: Fn): void {
  check(fn.app_id !== '', 'Missing AppID on Fn', 'fn app_id', 'be given', fn.app_id)
  check(fn.name !== '', 'Missing Fn name', 'fn name', 'be given', fn.name)
  check(
    byteLength(fn.name) <= 255,
    'Fn name must be 255 characters or less',
    'fn name',
    'be at most 255 bytes',
    fn.name,
  )
  // What a path segment may hold without escapes.
  check(
    /^[\w.~$&+=:@-]+$/.test(fn.name),
    'name must be a valid string',
    'fn name',
    'have only ASCII letters, digits and any of -_.~$&+=:@',
    fn.name,
  )
  check(fn.image !== '', 'Missing image on Fn', 'fn image', 'be given', fn.image)
  check(
    byteLength(fn.image) <= MAX_IMAGE,
    'Invalid image on Fn',
    'fn image',
    `be at most ${MAX_IMAGE} bytes`,
    fn.image,
  )
  check(
    isWithin(fn.timeout, 300),
    'timeout value is out of range, must be between 0 and 300',
    'fn timeout',
    'be 1 to 300 seconds',
    fn.timeout,
  )
  check(
    isWithin(fn.idle_timeout, 3_600),
    'idle_timeout value is out of range, must be between 0 and 3600',
    'fn idle_timeout',
    'be 1 to 3600 seconds',
    fn.idle_timeout,
  )
  check(
    isWithin(fn.memory, 8_192),
    'memory value is out of range. It should be between 0 and 8192',
    'fn memory',
    'be 1 to 8192 MiB',
    fn.memory,
  )
  checkAnnotations('fn', fn.annotations)
  checkSettings(fn)
  checkConfig('fn', fn.config)
}

const isWithin = (value: number, max: number): boolean => value >= 1 && value <= max

const showFn = (fn: Fn, base: string) => ({
  ...fn,
  annotations: { ...fn.annotations, [INVOKE_ENDPOINT]: invokeEndpoint(base, fn.id) },
  shape: fn.shape || undefined,
})
