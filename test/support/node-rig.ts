import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { idMaker } from '../../src/core/ids.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { App, Fn } from '../../src/core/words.ts'
import { BundleCache } from '../../src/node/bundles.ts'
import { type FunctionNode, type NodeOptions, startNode } from '../../src/node/node.ts'
import { sqliteStore } from '../../src/store/sqlite/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { makeApp, makeFn } from './definitions.ts'
import { type FixedDriver, fixedDriver } from './fixed-driver.ts'
import { tempDir } from './temp.ts'

export const FN = 'FN'
export const INVOKE = '/invoke/FN'
const NOW = '2026-01-01T00:00:00.000Z'

export interface NodeRig {
  readonly node: FunctionNode
  readonly store: Store
  readonly file: string
  readonly driver: FixedDriver
  readonly makeId: () => string
}

/** A node whose functions are answered by `serve`, a server on a unix socket. */
export async function setUpNode(
  t: TestContext,
  serve: Server,
  over: { fn?: Partial<Fn>; app?: Partial<App>; node?: Partial<NodeOptions> } = {},
): Promise<NodeRig> {
  const temp = await tempDir()
  const socket = join(temp.path, 'fn.sock')
  const connections = new Set<Socket>()
  serve.on('connection', (connection: Socket) => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
  })
  await new Promise<void>((resolve) => serve.listen(socket, resolve))
  const driver = fixedDriver(socket)
  const file = join(temp.path, 'store.db')
  const store = await sqliteStore({ file })
  await store.apps.insert(makeApp(over.app))
  await store.fns.insert(makeFn(over.fn))
  await store.triggers.insert({
    id: 'TRIGGER',
    name: 'http',
    app_id: 'APP',
    fn_id: FN,
    type: 'http',
    source: '/cart',
    annotations: {},
    created_at: NOW,
    updated_at: NOW,
  })
  const makeId = idMaker(systemClock, systemRandom)
  const node = await startNode({
    listen: { host: '127.0.0.1', port: 0 },
    store,
    driver,
    bundles: new BundleCache({
      dir: join(temp.path, 'bundles'),
      store: store.bundles,
      wall: () => systemClock.wall(),
    }),
    clock: systemClock,
    log: silentLogger,
    makeId,
    memory: 1024 ** 3,
    cpus: 4,
    token: undefined,
    publicUrl: undefined,
    maxRequestSize: 0,
    maxResponseSize: 0,
    version: 'test',
    grace: 5_000,
    ...over.node,
  })
  t.after(async () => {
    await node[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
    for (const connection of connections) connection.destroy()
    await new Promise((resolve) => serve.close(resolve))
    await temp[Symbol.asyncDispose]()
  })
  return { node, store, file, driver, makeId }
}

type Handler = (req: IncomingMessage, res: ServerResponse, body: string) => void

/** A function that answers over HTTP when it has read the whole request. */
export function http(handler: Handler): Server {
  return createServer((req, res) => {
    let body = ''
    req.on('data', (chunk) => {
      body += chunk
    })
    req.on('end', () => handler(req, res, body))
  })
}

export const hello = (): Server => http((_req, res) => res.end('hello'))

export interface Seen {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** One request by `node:http`, which sends headers as they are given; rejects on a broken answer. */
export function send(
  url: string,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: string } = {},
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    request(
      url,
      { method: options.method ?? 'POST', headers: options.headers ?? {}, agent: false },
      (res) => {
        let body = ''
        res.on('data', (chunk) => {
          body += chunk
        })
        res.on('end', () => resolve({ status: res.statusCode as number, headers: res.headers, body }))
        res.on('error', reject)
      },
    )
      .on('error', reject)
      .end(options.body ?? '')
  })
}
