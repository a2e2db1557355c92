import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import fastify, { type FastifyInstance } from 'fastify'
import { apiPlugin } from '../api/api.ts'
import { type CorsOptions, refuseForeign } from '../api/cors.ts'
import { FASTIFY_OPTIONS, jsonErrors } from '../api/errors.ts'
import { type Clock, limit, sleep } from '../core/clock.ts'
import { type LogSink, lineLog } from '../core/log-sink.ts'
import type { Logger } from '../core/logger.ts'
import { isCall, originForm } from '../core/routes.ts'
import { bundleDigest } from '../core/words.ts'
import type { Driver, Source } from '../drivers/driver.ts'
import { hostCheck } from '../host/known-hosts.ts'
import { type Address, close, formatAddress, listen } from '../host/listen.ts'
import { tokenCheck, unauthorized } from '../host/token.ts'
import { type PauseRule, Runner } from '../runner/runner.ts'
import type { Store } from '../store/store.ts'
import { refuseBytes } from './bad-bytes.ts'
import type { BundleCache } from './bundles.ts'
import { callLog } from './call-log.ts'
import { type ControlContext, serveControl } from './control.ts'
import { Definitions } from './definitions.ts'
import { handleCall, type InvokeContext, lacksHost, noHost } from './invoke.ts'
import { LoadReport } from './load-report.ts'
import { Metrics } from './metrics.ts'
import type { Traces } from './traces.ts'

const MIB = 1024 * 1024

export interface NodeOptions {
  readonly listen: Address
  readonly store: Store
  readonly driver: Driver
  readonly bundles: BundleCache
  readonly clock: Clock
  readonly log: Logger
  /** What functions print goes here. @default the log */
  readonly sink?: LogSink
  readonly makeId: () => string
  /** Bytes that all containers together may be promised. */
  readonly memory: number
  /** CPUs that all containers together may be promised. */
  readonly cpus: number
  /** When idle containers are paused. @default 'adaptive' */
  readonly pause?: PauseRule | undefined
  /** Containers that start at the same time. @default the CPUs, at least 2 */
  readonly maxStarts?: number | undefined
  /** Of `/v2` and `/node/*`; without one, everybody who reaches the port may. */
  readonly token: string | undefined
  readonly publicUrl: string | undefined
  /** What the node goes by while it has no token, besides the loopback names; in lower case. @default nothing */
  readonly hosts?: readonly string[] | undefined
  /** Bytes; 0 = no limit. */
  readonly maxRequestSize: number
  /** Milliseconds in which the beginning of a body must be here, and that it may stand still later. @default 30000 */
  readonly bodyTimeout?: number | undefined
  /** Bytes; 0 = no limit. */
  readonly maxResponseSize: number
  /** Bytes of the head of a function's answer; 0 = 1 MiB. @default 0 */
  readonly maxResponseHeadSize?: number
  /** Who may use `/v2` from other pages than the node's own. @default nobody */
  readonly cors?: CorsOptions | undefined
  /** Where calls are traced to. @default nowhere */
  readonly traces?: Traces | undefined
  /** See `host/descriptors.ts`. @default never */
  readonly short?: () => boolean
  /** Sluice's own version, for `/version`. */
  readonly version: string
  /** Milliseconds that running calls get to end when the node stops. @default 30000 */
  readonly grace?: number
}

/** A function node that serves. Disposing it drains: new calls are refused, running ones finish within the grace. */
export interface FunctionNode extends AsyncDisposable {
  readonly address: Address
  readonly url: string
}

/**
 * Starts a node: its HTTP face, its runner and its view of the store.
 * @throws SluiceError when the address cannot be listened on
 */
export async function startNode(options: NodeOptions): Promise<FunctionNode> {
  const { store, driver, clock, log, makeId } = options
  await using undo = new AsyncDisposableStack()
  const runner: Runner = undo.use(
    new Runner({
      driver,
      clock,
      log,
      sink: options.sink ?? lineLog(log),
      makeId,
      total: { memory: options.memory, mcpus: Math.floor(options.cpus * 1_000) },
      maxStarts: options.maxStarts ?? Math.max(2, Math.floor(options.cpus)),
      pause: options.pause,
      onStart: (record) => metrics.started(record),
      maxResponseSize: options.maxResponseSize,
      ...(options.maxResponseHeadSize && { maxResponseHeadSize: options.maxResponseHeadSize }),
      fetch: (image, signal) => fetchSource(image, options.bundles, signal),
    }),
  )
  const metrics = new Metrics(runner)
  const definitions: Definitions = undo.use(
    new Definitions(store, clock, () => void retireStale(runner, definitions, log)),
  )
  const load = new LoadReport(runner, makeId(), Math.max(1, Math.floor(options.memory / (128 * MIB))))
  const state = { draining: false }
  const call: InvokeContext = {
    clock,
    makeId,
    definitions,
    runner,
    load,
    observers: [metrics, callLog(log), ...(options.traces ? [options.traces] : [])],
    maxRequestSize: options.maxRequestSize,
    bodyTimeout: options.bodyTimeout ?? 30_000,
    draining: () => state.draining,
    short: options.short ?? (() => false),
  }
  const { app, server } = await serveNode(options, call, { runner, definitions, load, state }, metrics)
  undo.defer(() => app.close())
  undo.defer(() => close(server))
  const address = await listen(server, options.listen)
  const hold = undo.move()

  let closing: Promise<void> | undefined
  return {
    address,
    url: `http://${formatAddress(address)}`,
    [Symbol.asyncDispose]: () => {
      closing ??= (async () => {
        state.draining = true
        await drain(runner, clock, options.grace ?? 30_000)
        await hold.disposeAsync()
      })()
      return closing
    },
  }
}

/** The server: calls go straight to their handler, everything else through Fastify. */
async function serveNode(
  options: NodeOptions,
  call: InvokeContext,
  control: ControlContext,
  metrics: Metrics,
): Promise<{ app: FastifyInstance; server: Server }> {
  const allowed = tokenCheck(options.token)
  const checkHost = hostCheck(options.token, options.hosts)
  const app = fastify({
    ...FASTIFY_OPTIONS,
    bodyLimit: Number.MAX_SAFE_INTEGER, // the API has limits of its own
    clientErrorHandler: refuseBytes(control.load),
    forceCloseConnections: true,
    serverFactory: (handler) => {
      const serve = (req: IncomingMessage, res: ServerResponse) => {
        req.url = originForm(req.url as string) ?? (req.url as string) // of another form it is no path of ours
        return isCall(req.url) ? handleCall(call, req, res) : handler(req, res)
      }
      const server = createServer(
        {
          maxHeaderSize: MIB,
          requestTimeout: 0,
          headersTimeout: 60_000,
          keepAliveTimeout: 75_000,
          noDelay: true,
          requireHostHeader: false, // whoever leaves it out hears the same as everybody
        },
        serve,
      )
      // A call's body is asked for when the call has its slot, never before.
      return server.on('checkContinue', (req, res) => {
        if (!isCall(originForm(req.url as string) ?? '')) res.writeContinue()
        serve(req, res)
      })
    },
  })
  jsonErrors(app, options.log)
  app.addHook('onRequest', async (request) => {
    if (lacksHost(request.raw)) throw noHost()
    // The route, not the URL: `/%6eode/load` is the same route.
    const { url = '' } = request.routeOptions
    if (isGuarded(url) || url.startsWith('/v2')) checkHost(request.headers.host)
    if (!isGuarded(url)) return
    if (!allowed(request.headers.authorization)) throw unauthorized(request.headers.authorization)
    refuseForeign(request, options.cors?.origins)
  })
  // What was changed through this node is in force before the change is acknowledged.
  app.addHook('onSend', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      await call.definitions.refresh().catch(() => {})
  })
  app.get('/version', () => ({ version: options.version }))
  app.get('/healthz', () => ({ status: call.draining() ? 'draining' : 'ok' }))
  serveControl(app, control)
  app.get('/metrics', async (_request, reply) => {
    reply.header('content-type', metrics.contentType)
    return metrics.text()
  })
  await app.register(
    apiPlugin({
      store: options.store,
      clock: options.clock,
      makeId: options.makeId,
      publicUrl: options.publicUrl,
      maxRequestSize: options.maxRequestSize,
      allowed,
      cors: options.cors,
    }),
  )
  await app.ready()
  return { app, server: app.server }
}

/** What only operators and balancers may ask; the API guards itself. */
const isGuarded = (route: string) => route.startsWith('/node/') || route === '/metrics'

async function fetchSource(image: string, bundles: BundleCache, signal: AbortSignal): Promise<Source> {
  const digest = bundleDigest(image)
  if (digest === undefined) return { kind: 'image', ref: image }
  return bundles.open(digest, signal)
}

async function retireStale(runner: Runner, definitions: Definitions, log: Logger): Promise<void> {
  for (const definition of runner.definitions()) {
    try {
      if (!(await definitions.isCurrent(definition))) runner.retire(definition)
    } catch (error) {
      log.warn(
        { fn_id: definition.fn.id, error: String(error) },
        'store is away: the function is served as it was',
      )
    }
  }
}

/** Resolves when no call runs or waits, or the grace is over. */
async function drain(runner: Runner, clock: Clock, grace: number): Promise<void> {
  using over = limit(clock, grace)
  while (runner.load.run + runner.load.queue > 0 && !over.signal.aborted) {
    await sleep(clock, 20, over.signal).catch(() => {})
  }
}
