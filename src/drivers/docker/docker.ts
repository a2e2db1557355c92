import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../core/clock.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { orUndo } from '../abort.ts'
import { type ContainerSpec, type Driver, DriverError } from '../driver.ts'
import { driverOf, type Made } from '../lifecycle.ts'
import { removeDir } from '../socket.ts'
import { api } from './api.ts'
import { whyNotShared } from './canary.ts'
import { capabilitiesOf, type EngineInfo } from './capabilities.ts'
import { type ImageCleaner, imageCleaner } from './cleaner.ts'
import type { Tls } from './client.ts'
import { checkFolders, createContainer, makeFolderOf } from './create.ts'
import type { Credentials } from './credentials.ts'
import { type Engine, openEngine } from './engine.ts'
import { type HolderPool, holderPool } from './holders.ts'
import type { PullProgress } from './progress.ts'
import { type ImagePuller, imagePuller } from './pull.ts'
import { ownerOf, reap } from './reap.ts'
import { removeContainer } from './requests.ts'
import { startRun } from './run.ts'
import { type RuntimeImage, type RuntimeLoader, runtimeLoader } from './runtime-image.ts'
import type { Surroundings } from './settings.ts'
import { whyNotInside } from './trial.ts'

export interface DockerDriverOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly host: string
  /** PEM texts, for TCP. */
  readonly tls?: Tls
  /** Folder for what must outlive this process: a sub-folder `docker` is made. Used by one process at a time. */
  readonly dataDir: string
  /** @default the system's */
  readonly clock?: Clock
  /** @default the system's */
  readonly random?: Random
  /** What bundles run on. @default none: it runs images only */
  readonly runtime?: RuntimeImage
  /** For registries. @default none */
  readonly credentials?: Credentials
  readonly onPull?: (progress: PullProgress) => void
  /** Bytes of pulled images that are kept, the least recently used go first; 0 = all of them. @default 0 */
  readonly imageBudget?: number
  /** Networks made ahead of time, which needs a runtime with a shell; 0 = each container makes its own. @default 2 */
  readonly holders?: number
}

/**
 * Containers of a Docker engine (20.10 or newer), or of podman behind Docker's interface.
 * @throws DriverError `unavailable` with one clear line when no engine answers
 */
export async function dockerDriver(options: DockerDriverOptions): Promise<Driver> {
  const { clock = systemClock, dataDir, host, random = systemRandom, runtime, tls } = options
  await mkdir(join(dataDir, 'docker'), { recursive: true, mode: 0o700 })
  const root = await realpath(join(dataDir, 'docker'))
  const owner = ownerOf(root)
  await using undo = new AsyncDisposableStack()
  const engine = undo.use(await openEngine({ host, tls, clock, random }))
  await reap(engine, owner, root)
  const info: EngineInfo = await engine.ask('tell about itself', api.info(), { idempotent: true })
  const notShared = await whyNotShared({ engine, owner, dir: root, random, kernel: info.KernelVersion })
  const shared = notShared === undefined
  const loader = runtime && shared ? runtimeLoader(engine, runtime) : undefined
  await loader?.ensure()
  const notInside =
    loader && runtime
      ? await whyNotInside({ engine, owner, image: loader.ref, node: runtime.node })
      : 'there is no base runtime to try it'
  const capabilities = capabilitiesOf({
    info,
    host,
    tls: tls !== undefined,
    podman: engine.podman,
    runtime: loader !== undefined,
    notShared,
    notInside,
  })
  const { credentials = NO_CREDENTIALS, holders = 2, imageBudget = 0, onPull } = options
  const cleaner = undo.use(
    imageCleaner({ engine, budget: imageBudget, clock, file: join(root, 'images.json') }),
  )
  const puller = imagePuller({ engine, credentials, clock, onPull })
  const pool =
    loader && runtime?.shell && holders > 0
      ? undo.use(holderPool({ engine, owner, image: loader.ref, size: holders }))
      : undefined
  const inside = notInside === undefined
  const parts = { cleaner, clock, engine, loader, inside, local: shared, owner, pool, puller, root, runtime }
  const held = undo.move()
  return driverOf({
    name: 'docker',
    capabilities,
    clock,
    make: (spec, signal) => make(spec, signal, parts),
    close: () => held.disposeAsync(),
  })
}

const NO_CREDENTIALS: Credentials = { for: async () => undefined }

interface Parts {
  readonly cleaner: ImageCleaner
  readonly clock: Clock
  readonly engine: Engine
  readonly loader: RuntimeLoader | undefined
  /** Sockets are inside of containers. */
  readonly inside: boolean
  /** The engine runs on this machine. */
  readonly local: boolean
  readonly owner: string
  readonly pool: HolderPool | undefined
  readonly puller: ImagePuller
  readonly root: string
  readonly runtime: RuntimeImage | undefined
}

async function make(spec: ContainerSpec, signal: AbortSignal, parts: Parts): Promise<Made> {
  await checkFolders(spec)
  const { clock, engine, inside, local, owner, pool, root, runtime } = parts
  await using undo = new AsyncDisposableStack()
  const dir = spec.mode === 'hot' && !inside ? await makeFolderOf(root) : undefined
  if (dir !== undefined) undo.defer(() => removeDir(dir))
  const taken = await takeImage(spec, signal, parts, undo)
  const fetched = clock.now()
  const holder = canJoin(spec) ? await pool?.take() : undefined
  if (holder !== undefined) undo.defer(() => removeLater(engine, holder))
  const create = () =>
    createContainer(engine, spec, { ...taken, owner, runtime, dir, holder, podman: engine.podman })
  const creating = create().catch(async (error) => {
    // It was there a moment ago: somebody removed it.
    if (!(error instanceof DriverError) || error.fault !== 'image-missing') throw error
    await ensureImage(spec, signal, parts)
    return create()
  })
  const removeIt = async () => removeLater(engine, await creating)
  const id = await orUndo(creating, { clock, signal, undo: removeIt })
  undo.defer(() => removeLater(engine, id))
  const held = undo.move()
  const remove = async () => {
    pool?.fill()
    await held.disposeAsync()
  }
  const ready = () => pool?.fill()
  return { fetched, start: () => startRun(spec, { engine, clock, id, dir, local, ready }), remove }
}

/** One that joins a network has its holder's names too. */
const canJoin = ({ extraHosts = {}, network }: ContainerSpec) =>
  network === 'none' && Object.keys(extraHosts).length === 0

/** What the engine does not remove now, the next start of the driver removes. */
const removeLater = (engine: Engine, id: string) => removeContainer(engine, id).catch(() => {})

/** An image by its name for the engine, and the folders that it declares as volumes. */
type TakenImage = Pick<Surroundings, 'image' | 'declared'>

/** Sees to a spec's image. */
async function takeImage(
  spec: ContainerSpec,
  signal: AbortSignal,
  parts: Parts,
  undo: AsyncDisposableStack,
): Promise<TakenImage> {
  const { source } = spec
  if (source.kind === 'image') undo.use(parts.cleaner.use(source.ref))
  return ensureImage(spec, signal, parts)
}

async function ensureImage(
  { source }: ContainerSpec,
  signal: AbortSignal,
  parts: Parts,
): Promise<TakenImage> {
  const { cleaner, clock, loader, puller } = parts
  if (source.kind === 'image') {
    const { pulled, volumes } = await puller.ensure(source.ref, signal)
    if (pulled !== undefined) {
      cleaner.pulled(source.ref, pulled)
      void cleaner.clean()
    }
    return { image: source.ref, declared: volumes }
  }
  if (!loader) throw new DriverError('unsupported', 'the docker driver has no base runtime here')
  await orUndo(loader.ensure(), { clock, signal })
  return { image: loader.ref, declared: [] }
}
