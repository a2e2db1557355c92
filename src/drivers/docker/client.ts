import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Duplex, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { DriverError } from '../driver.ts'

/** One request of an engine, and how its answer is read; `api.ts` has them all. */
export interface EngineRequest<T> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** What is `undefined` is left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; a stream as it is, and destroyed when the request is over. */
  readonly body?: object | Readable
  readonly read: (res: IncomingMessage) => T | Promise<T>
}

/** A request whose connection becomes a plain stream. */
export type Upgrade = Pick<EngineRequest<Duplex>, 'path' | 'query'>

/** The connections to one engine. Disposing it ends every request that is still open. */
export interface EngineClient extends Disposable {
  /**
   * Settles also when the connection breaks in the middle of an answer: an engine may begin one long before it knows
   * how it ends. Aborting closes the connection, also while an answer that is a stream is read.
   * @throws EngineError when the engine refuses, or the connection's own error
   */
  send<T>(request: EngineRequest<T>, signal: AbortSignal): Promise<T>
  upgrade(request: Upgrade, signal: AbortSignal): Promise<Duplex>
}

/** An engine's refusal, in its own words. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly statusCode: number

  constructor(statusCode: number, message: string) {
    super(message)
    this.statusCode = statusCode
  }
}

/** PEM texts. */
export interface Tls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** @param host `unix:///path` or `tcp://host:port` @throws DriverError `unavailable` when it is neither */
export function engineClient(host: string, tls?: Tls): EngineClient {
  const secure = tls !== undefined && !host.startsWith('unix:')
  // A few connections are kept; over TCP it learns of a peer that has gone.
  const kept = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 4 }
  const agent = secure ? new HttpsAgent({ ...kept, ...tls }) : new HttpAgent(kept)
  const address = { ...addressOf(host), agent, protocol: secure ? 'https:' : 'http:' }
  const begin = (options: RequestOptions) => (secure ? requestHttps : requestHttp)({ ...address, ...options })

  return {
    send: (request, signal) =>
      new Promise((resolve, reject) => {
        const { body, headers, method, read } = request
        const json = body && !isStream(body) ? Buffer.from(JSON.stringify(body)) : undefined
        const req = begin({
          method,
          path: pathOf(request),
          signal,
          headers: { ...(body ? contentOf(json) : {}), ...headers },
        })
        // After an answer has begun that tells it too.
        req.on('error', reject)
        req.once('response', (res) => void answer(res, read).then(resolve, reject))
        if (body && isStream(body)) pour(body, req)
        else req.end(json)
      }),
    upgrade: (request, signal) =>
      new Promise((resolve, reject) => {
        const headers = { Connection: 'Upgrade', Upgrade: 'tcp', 'Content-Length': 0 }
        const req = begin({ method: 'POST', path: pathOf(request), signal, headers })
        req.once('error', reject)
        req.once('response', (res) => refusal(res).then(reject, reject))
        req.once('upgrade', (_res, socket, head) => {
          if (head.length > 0) socket.unshift(head)
          resolve(socket)
        })
        req.end()
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}

/** What engines take for the form of a body; they know archives by themselves. */
const contentOf = (json: Buffer | undefined) =>
  json
    ? { 'Content-Type': 'application/json', 'Content-Length': json.length }
    : { 'Content-Type': 'application/x-tar' }

const isStream = (body: object): body is Readable => 'pipe' in body

function pour(body: Readable, req: ClientRequest): void {
  body.once('error', (error) => req.destroy(error))
  req.once('close', () => body.destroy())
  body.pipe(req)
}

async function answer<T>(res: IncomingMessage, read: EngineRequest<T>['read']): Promise<T> {
  const status = res.statusCode ?? 0
  if (status < 200 || status >= 300) throw await refusal(res)
  return read(res)
}

async function refusal(res: IncomingMessage): Promise<EngineError> {
  const body = (await text(res)).trim()
  return new EngineError(res.statusCode ?? 0, messageIn(body) ?? (body || `HTTP status ${res.statusCode}`))
}

function messageIn(body: string): string | undefined {
  try {
    const { message } = JSON.parse(body)
    return typeof message === 'string' ? message.trim() : undefined
  } catch {
    return undefined
  }
}

function pathOf({ path, query = {} }: Upgrade): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
  return text === '' ? path : `${path}?${text}`
}

function addressOf(host: string): Pick<RequestOptions, 'host' | 'port' | 'socketPath'> {
  const [, socketPath] = /^unix:\/\/(\/.+)$/.exec(host) ?? []
  if (socketPath !== undefined) return { socketPath }
  const [, name, port] = /^tcp:\/\/([^/:]+|\[[^/]+\]):(\d+)\/?$/.exec(host) ?? []
  if (name !== undefined && port !== undefined) return { host: name.replace(/^\[|\]$/g, ''), port }
  throw new DriverError('unavailable', `an engine's address is unix:///path or tcp://host:port, not ${host}`)
}
