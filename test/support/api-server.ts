import { createHash } from 'node:crypto'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { type ApiOptions, apiPlugin } from '../../src/api/api.ts'
import { FASTIFY_OPTIONS, jsonErrors } from '../../src/api/errors.ts'
import { type VirtualClock, virtualClock } from '../../src/core/clock.ts'
import { idMaker } from '../../src/core/ids.ts'
import { type Logger, silentLogger } from '../../src/core/logger.ts'
import { seededRandom } from '../../src/core/random.ts'
import { sqliteStore } from '../../src/store/sqlite/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { tempDir } from './temp.ts'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
  readonly json: any
}

export interface ApiServer extends AsyncDisposable {
  readonly fastify: FastifyInstance
  readonly store: Store
  readonly clock: VirtualClock
  /** @param body sent as it is when text or bytes, else as JSON */
  send(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>
}

/** The v2 API over a new store, without a socket until `fastify.listen`. */
export async function apiServer(
  options: Partial<ApiOptions> = {},
  log: Logger = silentLogger,
): Promise<ApiServer> {
  const dir = await tempDir()
  const store = options.store ?? (await sqliteStore({ file: join(dir.path, 'store.db') }))
  const clock = virtualClock(Date.parse('2026-11-24T10:00:00.000Z'))
  const app = fastify(FASTIFY_OPTIONS)
  jsonErrors(app, log)
  await app.register(
    apiPlugin({
      clock,
      makeId: idMaker(clock, seededRandom(1)),
      publicUrl: undefined,
      maxRequestSize: 0,
      allowed: () => true,
      ...options,
      store,
    }),
  )
  return {
    fastify: app,
    store,
    clock,
    async send(method, url, body, headers = {}) {
      const payload = typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : body
      const sent = payload === undefined ? {} : { payload: payload as object }
      // biome-ignore lint/suspicious/noExplicitAny: any verb may be tried
      const reply = await app.inject({ method: method as any, url, headers, ...sent })
      return {
        status: reply.statusCode,
        headers: reply.headers,
        text: reply.payload,
        get json() {
          return JSON.parse(reply.payload)
        },
      }
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await store[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
