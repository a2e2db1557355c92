import { type Clock, limit } from '../core/clock.ts'
import { idMaker } from '../core/ids.ts'
import type { Logger } from '../core/logger.ts'
import type { Random } from '../core/random.ts'
import { type Address, close, formatAddress, listen } from '../host/listen.ts'
import { Nodes } from '../placement/nodes.ts'
import { makeDecision, type Placement } from '../placement/placement.ts'
import { roundRobin } from '../placement/round-robin.ts'
import { strategyOf } from '../placement/strategies.ts'
import { adminServer, type BalancerStats, type NodeList } from './admin.ts'
import type { ClientServer, ClientServerFactory } from './client.ts'
import { dataServer } from './data-server.ts'
import type { Forwarder } from './forwarder.ts'
import { FunctionTable } from './functions.ts'
import { Health } from './health.ts'
import { httpClients } from './http-client.ts'
import { Members, nodeName } from './members.ts'
import { Metrics } from './metrics.ts'
import { plainForwarder } from './plain.ts'
import { OUTCOMES, type Outcome, type Plane } from './plane.ts'
import { Stats } from './stats.ts'

export interface BalancerOptions {
  /** `host:port` each; empty and repeated ones are ignored. */
  readonly nodes: readonly string[]
  /** The data port. */
  readonly listen: Address
  /** The admin port. */
  readonly admin: Address
  /** A name of `placement/strategies`. @default 'fnlb' */
  readonly strategy?: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /**
   * Asked for on `/1/lb/*`, `/metrics`, and on the data port for all but calls, `/version` and `/healthz`; sent with
   * health checks. Without one everybody who reaches the ports may.
   */
  readonly token: string | undefined
  /** What the admin port goes by without a token, besides the loopback names; in lower case. @default nothing */
  readonly hosts?: readonly string[] | undefined
  /** Sluice's own version, for `/version` of the admin port. */
  readonly version: string
  /** Milliseconds between two checks of a node. @default 3000 */
  readonly healthInterval?: number | undefined
  /** Asked of nodes that do not know `/node/load`. @default '/version' */
  readonly healthPath?: string | undefined
  /** Failed checks and connects in a row that take a node out; one good check brings it back. @default 2 */
  readonly healthThreshold?: number | undefined
  /** Milliseconds that a check may take. @default 5000 */
  readonly healthTimeout?: number | undefined
  /** Bytes of a request's body; 0 = no limit. @default 0 */
  readonly maxRequestSize?: number | undefined
  /** Milliseconds that requests under way get to end when the balancer closes. @default 30000 */
  readonly grace?: number | undefined
  /** How bytes move; disposed with the balancer. @default the plain one */
  readonly forwarder?: Forwarder | undefined
  /** How requests are read and answered. @default by node:http */
  readonly clients?: ClientServerFactory | undefined
}

/** A balancer that serves. Disposing it finishes what is under way within the grace. */
export interface Balancer extends AsyncDisposable {
  readonly url: string
  readonly adminUrl: string
  readonly nodes: NodeList
  /** @param since the cursor of an earlier answer */
  stats(since?: string): BalancerStats
}

/**
 * Starts a balancer: the data port in front of the nodes, and its admin port.
 * @throws SluiceError `invalid` for an option that makes no sense, `address` when a port cannot be had
 */
export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const { clock, random, log, token, version } = options
  await using undo = new AsyncDisposableStack()
  const functions = new FunctionTable({ forget: (fn) => placement.forget(fn) })
  const placement: Placement = strategyOf(options.strategy ?? 'fnlb')((fn) => functions.key(fn), random)
  const inTurn = roundRobin(() => '', random)
  const known = new Nodes(placement, inTurn)
  const members = new Members(known, functions, clock, options.healthThreshold ?? 2, log)
  const forwarder = undo.use(options.forwarder ?? plainForwarder())
  const health = undo.use(
    new Health(members, {
      clock,
      random,
      token,
      interval: options.healthInterval ?? 3_000,
      path: options.healthPath ?? '/version',
      timeout: options.healthTimeout ?? 5_000,
    }),
  )
  const seen = new Stats(clock)
  const plane: Plane = {
    members,
    calls: { placement, nodes: known, decision: makeDecision() },
    others: { placement: inTurn, nodes: known, decision: makeDecision() },
    functions,
    forwarder,
    clock,
    log,
    stats: seen,
    outcomes: Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>,
    makeId: idMaker(clock, random),
    maxRequestSize: options.maxRequestSize ?? 0,
    closing: false,
  }
  const nodes = nodeList(members, health, forwarder)
  const names = options.nodes.filter((name) => name.trim() !== '').map(nodeName)
  const stats = (since?: string): BalancerStats => ({
    ...seen.since(since),
    inflight: Object.fromEntries(members.all.map(({ known }) => [known.name, known.inflight])),
  })

  const app = adminServer({
    nodes,
    stats,
    metrics: new Metrics(plane),
    token,
    hosts: options.hosts,
    version,
    log,
  })
  undo.defer(() => app.close())
  undo.defer(() => close(app.server))
  await app.ready()
  const adminAddress = await listen(app.server, options.admin)
  const data = dataServer(plane, options.clients ?? httpClients, token)
  const address = await listen(data, options.listen)
  undo.defer(() => drain(data, plane, options.grace ?? 30_000))
  for (const name of names) nodes.add(name)

  const hold = undo.move()
  let closing: Promise<void> | undefined
  return {
    url: `http://${formatAddress(address)}`,
    adminUrl: `http://${formatAddress(adminAddress)}`,
    nodes,
    stats,
    [Symbol.asyncDispose]: () => {
      closing ??= hold.disposeAsync()
      return closing
    },
  }
}

function nodeList(members: Members, health: Health, forwarder: Forwarder): NodeList {
  return {
    add(name) {
      const member = members.add(nodeName(name))
      if (member) health.watch(member)
    },
    remove(name) {
      const member = members.remove(nodeName(name))
      if (!member) return
      health.unwatch(member)
      forwarder.forget(member.known.name)
    },
    list: () =>
      Object.fromEntries(members.all.map(({ known }) => [known.name, known.online ? 'online' : 'offline'])),
  }
}

/** Accepts nothing new, lets requests under way end, and after `grace` ms cuts what is left. */
async function drain(server: ClientServer, plane: Plane, grace: number): Promise<void> {
  plane.closing = true
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  using timed = limit(plane.clock, grace)
  timed.signal.addEventListener('abort', () => server.closeAllConnections(), { once: true })
  await closed
}
