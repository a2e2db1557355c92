import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Balancer, startBalancer } from './balancer/balancer.ts'
import { openDriver } from './compose/driver.ts'
import { openTracing } from './compose/tracing.ts'
import { type Clock, sleep } from './core/clock.ts'
import { SluiceError } from './core/errors.ts'
import { idMaker } from './core/ids.ts'
import type { Logger } from './core/logger.ts'
import type { Random } from './core/random.ts'
import type { DriverChoice } from './core/words.ts'
import type { Driver } from './drivers/driver.ts'
import type { Environment } from './host/config.ts'
import { openDataDir } from './host/data-dir.ts'
import { systemDescriptors } from './host/descriptors.ts'
import { type Address, formatAddress, isLoopback } from './host/listen.ts'
import { type MachineResources, machineResources } from './host/resources.ts'
import { BundleCache } from './node/bundles.ts'
import { type FunctionNode, type NodeOptions, startNode } from './node/node.ts'
import type { Traces } from './node/traces.ts'
import { sqlStore } from './store/sql/store.ts'
import { sqliteDatabase } from './store/sqlite/database.ts'
import type { Store } from './store/store.ts'

/** What every role is given: time, chance, a log, and what the environment says. */
export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly environment: Environment
}

export interface NodeSettings {
  readonly listen: Address
  readonly dataDir: string
  /** `sqlite:FILE`. @default the data folder's own */
  readonly store?: string | undefined
  readonly driver: DriverChoice
  /** Bytes that containers may be promised. @default what the environment says, else what the machine leaves */
  readonly memory?: number | undefined
  /** CPUs, with decimals, that they may be promised. @default likewise */
  readonly cpus?: number | undefined
  /** Bytes of disk that images pulled by an engine may take. @default all are kept */
  readonly imageBudget?: number | undefined
  /** Milliseconds that running calls get when the node stops. @default 30000 */
  readonly grace?: number | undefined
}

export interface BalancerSettings {
  readonly listen: Address
  readonly admin: Address
  /** `host:port` of each. */
  readonly nodes: readonly string[]
  readonly strategy: string
  readonly healthInterval?: number | undefined
  readonly healthPath?: string | undefined
  readonly healthThreshold?: number | undefined
  readonly healthTimeout?: number | undefined
  readonly grace?: number | undefined
}

export interface StartSettings extends Omit<NodeSettings, 'store'>, Omit<BalancerSettings, 'nodes'> {
  /** Nodes in this process, each listening on loopback. @default 1 */
  readonly localNodes: number
}

/** Everything that `sluice start` runs. Disposing it drains the nodes, the balancer first. */
export interface Sluice extends AsyncDisposable {
  readonly balancer: Balancer
  readonly nodes: readonly FunctionNode[]
  readonly driver: Driver
}

/** A balancer, nodes and the store in one process, with real HTTP between them. */
export async function startSluice(settings: StartSettings, world: World): Promise<Sluice> {
  await using undo = new AsyncDisposableStack()
  const dataDir = undo.use(openDataDir(settings.dataDir))
  const token = requireToken(world.environment.token ?? dataDir.token, settings.listen, settings.admin)
  const shared = await openMachine({ ...settings, dataDir: dataDir.path }, world, undo, settings.listen)
  const all = resourcesOf(settings, world)
  const memory = Math.floor(all.memory / settings.localNodes)
  const cpus = all.cpus / settings.localNodes
  const nodes: FunctionNode[] = []
  for (let i = 0; i < settings.localNodes; i++) {
    const listen = { host: '127.0.0.1', port: 0 }
    nodes.push(undo.use(await serveNode({ ...settings, listen, memory, cpus }, world, shared, token)))
  }
  const balancer = undo.use(
    await startBalancer({
      ...settings,
      ...world,
      nodes: nodes.map(({ address }) => formatAddress(address)),
      token,
      hosts: world.environment.allowedHosts,
      version: version(),
    }),
  )
  warnOf(shared.driver, world.log)
  const hold = undo.move()
  return { balancer, nodes, driver: shared.driver, [Symbol.asyncDispose]: () => hold.disposeAsync() }
}

/** One node alone. */
export async function startNodeRole(
  settings: NodeSettings,
  world: World,
): Promise<{ readonly node: FunctionNode; readonly driver: Driver } & AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  const dataDir = undo.use(openDataDir(settings.dataDir))
  const token = requireToken(world.environment.token ?? dataDir.token, settings.listen)
  const shared = await openMachine({ ...settings, dataDir: dataDir.path }, world, undo, settings.listen)
  const node = undo.use(await serveNode(settings, world, shared, token))
  warnOf(shared.driver, world.log)
  const hold = undo.move()
  return { node, driver: shared.driver, [Symbol.asyncDispose]: () => hold.disposeAsync() }
}

/** One balancer alone. */
export async function startBalancerRole(settings: BalancerSettings, world: World): Promise<Balancer> {
  const token = requireToken(world.environment.token, settings.listen, settings.admin)
  const hosts = world.environment.allowedHosts
  return startBalancer({ ...settings, ...world, token, hosts, version: version() })
}

/** Sluice's own version. */
export function version(): string {
  const file = new URL('../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** What the nodes of one process share. */
interface Machine {
  readonly traces: Traces | undefined
  readonly store: Store
  readonly driver: Driver
  readonly bundles: BundleCache
}

async function openMachine(
  settings: Pick<NodeSettings, 'dataDir' | 'store' | 'driver' | 'imageBudget'>,
  world: World,
  undo: AsyncDisposableStack,
  listen: Address,
): Promise<Machine> {
  const { clock } = world
  // The database opens in a thread of its own, meanwhile.
  const opening = sqliteDatabase({ file: storeFile(settings), clock })
  undo.defer(() =>
    opening.then(
      (database) => database[Symbol.asyncDispose](),
      () => {},
    ),
  )
  const driver = undo.use(await openDriver({ ...settings, exposed: !isLoopback(listen.host) }, world))
  const store = sqlStore(await opening)
  const bundles = new BundleCache({
    dir: join(settings.dataDir, 'bundles'),
    store: store.bundles,
    wall: () => clock.wall(),
    clock,
  })
  const sweeping = new AbortController()
  const sweep = sweepHourly(bundles, world, sweeping.signal)
  undo.defer(() => {
    sweeping.abort()
    return sweep
  })
  const traces = await openTracing(world.environment.tracing, { ...world, version: version() })
  if (traces) undo.use(traces)
  return { store, driver, bundles, traces }
}

function serveNode(
  settings: Pick<NodeSettings, 'listen' | 'memory' | 'cpus' | 'grace'>,
  world: World,
  machine: Machine,
  token: string | undefined,
): Promise<FunctionNode> {
  const { environment } = world
  return startNode({
    ...world,
    ...machine,
    listen: settings.listen,
    makeId: idMaker(world.clock, world.random),
    ...resourcesOf(settings, world),
    pause: pauseRule(environment.freezeIdle),
    short: systemDescriptors.short,
    token,
    publicUrl: environment.publicUrl,
    hosts: environment.allowedHosts,
    maxRequestSize: environment.maxRequestSize,
    bodyTimeout: environment.bodyTimeout,
    maxResponseSize: environment.maxResponseSize,
    maxResponseHeadSize: environment.maxResponseHeadSize,
    cors: environment.cors,
    version: version(),
    ...(settings.grace !== undefined && { grace: settings.grace }),
  })
}

/** What the containers of this process may be promised together. */
function resourcesOf(
  settings: Pick<NodeSettings, 'memory' | 'cpus'>,
  { environment }: World,
): MachineResources {
  const { memory = environment.memory, cpus = environment.cpus } = settings
  if (memory !== undefined && cpus !== undefined) return { memory, cpus }
  const machine = machineResources()
  return { memory: memory ?? machine.memory, cpus: cpus ?? machine.cpus }
}

/** @param idle milliseconds, below 0 for never */
function pauseRule(idle: number | undefined): NodeOptions['pause'] {
  if (idle === undefined) return 'adaptive'
  return idle < 0 ? 'never' : idle
}

/** What the driver cannot do here, said once the role runs: a start that fails says only why. */
function warnOf({ name, capabilities }: Driver, log: Logger): void {
  for (const warning of capabilities.warnings) log.warn({ driver: name }, warning)
}

function storeFile({ store, dataDir }: Pick<NodeSettings, 'store' | 'dataDir'>): string {
  if (store === undefined) return join(dataDir, 'sluice.db')
  const file = /^sqlite:(?:\/\/)?(.+)$/.exec(store)?.[1]
  if (file === undefined) {
    throw new SluiceError('invalid', `store ${store} is not supported`, { detail: 'use sqlite:FILE' })
  }
  return file
}

/** Deletes bundles that nobody refers to, now and then every hour, until aborted. */
async function sweepHourly(bundles: BundleCache, { clock, log }: World, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await bundles
      .sweep()
      .catch((error: unknown) => log.warn({ error: String(error) }, 'bundles were not swept'))
    await sleep(clock, 3_600_000, signal).catch(() => {})
  }
}

/** @throws SluiceError `unauthorized` when an address beyond loopback would be open to everybody */
function requireToken(token: string | undefined, ...addresses: readonly Address[]): string | undefined {
  const open = addresses.find(({ host }) => !isLoopback(host))
  if (open && token === undefined) {
    throw new SluiceError('unauthorized', `listening on ${formatAddress(open)} needs a token`, {
      detail: 'set FN_TOKEN, or put a secret into the file "token" of the data folder with mode 0600',
    })
  }
  return token
}
