import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Fn } from '../../src/core/words.ts'
import { type Role, sluice, startRole } from './sluice.ts'
import type { Way } from './ways.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A function of `examples`. */
export const example = (name: string): string => join(ROOT, 'examples', name)

/** A function that only tests deploy. */
export const testFunction = (name: string): string => join(ROOT, 'test/support/functions', name)

/** A function on a server, and where it is called. */
export interface Deployed {
  readonly fn: Fn
  readonly url: string
  /** URLs of its triggers; of one without any, empty. */
  readonly triggers: readonly string[]
}

/** Everything in one process on free ports, its state in `dir`. */
export const startServer = (
  dir: string,
  { driver, env }: Pick<Way, 'driver' | 'env'>,
  args: readonly string[] = [],
): Promise<Role> => {
  const ports = ['--port', '0', '--admin-port', '0']
  return startRole(['start', '--driver', driver, ...ports, '--data-dir', join(dir, 'state'), ...args], {
    env,
  })
}

/** Deploys a folder by the command line, as it is: also one that no check would let pass. */
export async function deploy(server: Role, folder: string, app = 'app'): Promise<Deployed> {
  const env = { FN_API_URL: server.ready.url }
  const { code, stdout, stderr } = await sluice(['deploy', '--app', app, '--json', '--no-check', folder], {
    env,
  })
  assert.equal(code, 0, stderr)
  const { function: fn, url, triggers } = JSON.parse(stdout)
  return { fn, url, triggers: triggers.map((trigger: { url: string }) => trigger.url) }
}

/** Another function of the same code, in the same app, with settings of its own. It has no trigger. */
export async function vary(
  server: Role,
  { fn: { app_id, image, format } }: Deployed,
  settings: Partial<Fn> & { readonly name: string },
): Promise<Deployed> {
  const fn = await manage<Fn>(server, 'POST', 'fns', { app_id, image, format, ...settings })
  return { fn, url: `${server.ready.url}/invoke/${fn.id}`, triggers: [] }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
  readonly text: string
}

/** Calls by POST. */
export async function call(
  url: string,
  body: string | Uint8Array = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const reply = await fetch(url, { method: 'POST', body, headers })
  const bytes = Buffer.from(await reply.arrayBuffer())
  return { status: reply.status, headers: reply.headers, bytes, text: bytes.toString() }
}

/** Status, message and detail of a call that failed; what names the call names the same one everywhere. */
export function failureOf({ status, headers, text }: Answer): [number, string, string | undefined] {
  const { message, detail, call_id: id } = JSON.parse(text)
  assert.equal(id, headers.get('fn-call-id'))
  return [status, message, detail]
}

/** Asks the API for a change. */
export async function manage<T>(server: Role, method: string, path: string, body: object): Promise<T> {
  const reply = await fetch(`${server.ready.url}/v2/${path}`, { method, body: JSON.stringify(body) })
  const text = await reply.text()
  assert.equal(reply.status, 200, text)
  return JSON.parse(text)
}

/** Where the first node of a server listens. */
const nodeOf = (server: Role): string => (server.ready['nodes'] as [string])[0]

/** A function's URL at the node itself, which tells more than a balancer passes on. */
export const atNode = (server: Role, { url }: Deployed): string => nodeOf(server) + new URL(url).pathname

/** What a node tells of a start; see `GET /node/starts`. */
export interface Start {
  readonly container: string
  readonly reason: string
  /** Milliseconds. */
  readonly total: number
  readonly fetch: number
  readonly create: number
}

/** The starts of a function's containers so far. */
export async function startsOf(server: Role, { fn }: Deployed): Promise<Start[]> {
  const reply = await fetch(`${nodeOf(server)}/node/starts?fn=${fn.id}`)
  return ((await reply.json()) as { items: Start[] }).items
}

/** What a node tells of itself; see `GET /node/load`. */
export interface Load {
  readonly run: number
  readonly queue: number
  /** Bytes. */
  readonly memory: { readonly used: number; readonly total: number }
}

export async function loadOf(server: Role): Promise<Load> {
  return (await (await fetch(`${nodeOf(server)}/node/load`)).json()) as Load
}
