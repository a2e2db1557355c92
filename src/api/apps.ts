import type { FastifyInstance } from 'fastify'
import { SluiceError } from '../core/errors.ts'
import type { App } from '../core/words.ts'
import { checkAnnotations, withoutEndpoints } from './annotations.ts'
import { serveById } from './by-id.ts'
import { byteLength, check } from './check.ts'
import { checkConfig } from './config.ts'
import { type ApiOptions, NO_HEAD, timeOf } from './context.ts'
import { type Body, readBody, text, texts, time, values } from './json.ts'
import { listOf, pageOf, queryOf } from './listing.ts'
import { mergeKeys, unlessEmpty } from './merge.ts'

const FIELDS = {
  id: text,
  name: text,
  config: texts,
  annotations: values,
  syslog_url: text,
  shape: text,
  created_at: time,
  updated_at: time,
} as const

type AppBody = Body<typeof FIELDS>

/** `/apps` and `/apps/{id}`. */
export function serveApps(fastify: FastifyInstance, { store, clock, makeId }: ApiOptions): void {
  fastify.post('/apps', async (request) => {
    const body = readBody(request.body, FIELDS)
    check(!body.id, 'App ID cannot be supplied on create', 'app id', 'not be given', body.id)
    const app = newApp(body, makeId(), timeOf(clock))
    checkApp(app)
    await store.apps.insert(app)
    return showApp(app)
  })

  fastify.get('/apps', NO_HEAD, async (request) => {
    const page = pageOf(queryOf(request.url))
    const apps = await store.apps.list(page)
    return listOf(apps.map(showApp), page)
  })

  serveById(fastify, clock, {
    path: '/apps',
    thing: 'App',
    fields: FIELDS,
    rows: store.apps,
    otherId: 'App ID in path does not match ID in body',
    merge: mergeApp,
    check: checkApp,
    show: showApp,
  })
}

const newApp = (body: AppBody, id: string, now: string): App => ({
  id,
  name: body.name ?? '',
  config: body.config ?? {},
  annotations: withoutEndpoints(body.annotations),
  syslog_url: body.syslog_url ?? '',
  shape: body.shape ?? '',
  created_at: now,
  updated_at: now,
})

function mergeApp(app: App, body: AppBody): App {
  refuseRename(app, body)
  return {
    ...app,
    config: mergeKeys(app.config, body.config),
    annotations: mergeKeys(app.annotations, withoutEndpoints(body.annotations)),
    syslog_url: body.syslog_url ?? app.syslog_url,
  }
}

function refuseRename({ name }: App, body: AppBody): void {
  if (body.name && body.name !== name)
    throw new SluiceError('conflict', 'Could not update - name is immutable', {
      detail: `app name must stay ${name} or be left out, got ${body.name}`,
    })
}

/** Characters of a syslog_url. */
const MAX_URL = 2_048
const SYSLOG_SCHEMES = ['tcp', 'udp', 'unix', 'unixgram', 'tcp+tls']
const SHAPES = ['GENERIC_X86', 'GENERIC_ARM', 'GENERIC_X86_ARM']

function checkApp(app: App): void {
  check(app.name !== '', 'Missing Name', 'app name', 'be given', app.name)
  check(
    byteLength(app.name) <= 255,
    'App name must be 255 characters or less',
    'app name',
    'be at most 255 bytes',
    app.name,
  )
  check(
    /^[\p{L}\p{Nd}_-]+$/u.test(app.name),
    'Invalid app name',
    'app name',
    'have only letters, digits, "_" and "-"',
    app.name,
  )
  checkAnnotations('app', app.annotations)
  checkSyslogUrl(app.syslog_url)
  check(
    app.shape === '' || SHAPES.includes(app.shape),
    'Invalid app shape',
    'app shape',
    `be one of ${SHAPES.join(', ')}`,
    app.shape,
  )
  checkConfig('app', app.config)
}

function checkSyslogUrl(url: string): void {
  if (url === '') return
  const refuse = (ok: boolean, reason: string, rule: string) =>
    check(ok, `invalid syslog url: "${url}" ${reason}`, 'app syslog_url', rule, url)
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  refuse(
    SYSLOG_SCHEMES.includes(scheme),
    `invalid scheme, only [${SYSLOG_SCHEMES.join(', ')}] are supported`,
    `have a scheme of ${SYSLOG_SCHEMES.join(', ')}`,
  )
  refuse(URL.canParse(url), 'cannot be parsed', 'be a URL')
  check(
    url.length <= MAX_URL,
    'invalid syslog url',
    'app syslog_url',
    `be at most ${MAX_URL} characters`,
    url.length,
  )
}

const showApp = (app: App) => ({
  ...app,
  config: unlessEmpty(app.config),
  annotations: unlessEmpty(app.annotations),
  syslog_url: app.syslog_url || undefined,
  shape: app.shape || undefined,
})
