import { mkdir, realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { type Clock, systemClock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import {
  type Capabilities,
  type Container,
  type ContainerSpec,
  type Cookie,
  type Driver,
  DriverError,
} from '../driver.ts'
import { shieldInherited } from '../inherited.ts'
import { measure } from '../measurements.ts'
import { awaitSocket, makeShortDir, type PinnedSocket, removeDir } from '../socket.ts'
import { checkSpec } from '../spec.ts'
import { limitTime } from '../time-limit.ts'
import { type Child, type ChildOptions, startChild } from './child.ts'
import { type Command, commandOf, type Places } from './command.ts'
import { findPrefix } from './prefix.ts'
import { reap, removeRecord, writeRecord } from './record.ts'
import { measurable, usageOf } from './usage.ts'

export interface ProcessDriverOptions {
  /** Folder for what must outlive this process: a sub-folder `process` is made. Used by one process at a time. */
  readonly dataDir: string
  /** Path of the Node that runs bundles. @default the one that runs this */
  readonly node?: string
  /** Path of the file that runs a bundle's entry. @default our own (`fdk/bootstrap.cjs`) */
  readonly bootstrap?: string
  /** @default the system's */
  readonly clock?: Clock
}

const BOOTSTRAP = join(import.meta.dirname, '../../fdk/bootstrap.cjs')

const NO_BOUNDARY =
  'The process driver is for development: functions run as your user, without limits and with its network, ' +
  'also those that ask for none; nothing stands between them and this machine.'
/**
 * Containers that are child processes: development and trusted code only. Bundles run under Node's permission
 * model, a seat belt and no boundary; a command that is not `node` runs without, and a process that it puts into
 * a session of its own may escape being stopped.
 */
export async function processDriver(options: ProcessDriverOptions): Promise<Driver> {
  const { clock = systemClock, node = process.execPath } = options
  await mkdir(join(options.dataDir, 'process'), { recursive: true, mode: 0o700 })
  const root = await realpath(join(options.dataDir, 'process'))
  const bootstrap = await realpath(options.bootstrap ?? BOOTSTRAP)
  await reap(root, clock)
  const { prefix, warnings } = await findPrefix()
  const shield = shieldInherited()
  const capabilities: Capabilities = {
    isolation: 'none',
    isolates: [],
    networks: ['host'],
    runs: ['bundle'],
    modes: ['hot', 'cold'],
    limits: [],
    options: ['logLimit'],
    pause: true,
    measures: measurable(),
    trusts: 'The function: it runs as your user.',
    warnings: [NO_BOUNDARY, ...warnings],
  }
  const cookies = new Set<Cookie>()
  let closed = false

  return {
    name: 'process',
    capabilities,

    async prepare(spec, signal) {
      signal.throwIfAborted()
      if (closed) throw new DriverError('closed', 'the process driver is closed')
      checkSpec('process', capabilities, spec)
      const bundle = await findBundle(spec)
      const dir = await makeDir(root)
      const isScript = isScriptBundle(bootstrap, bundle)
      const places = { node, bootstrap, bundle, isScript, io: join(dir, 'io'), tmp: join(dir, 'tmp') }
      const cookie = makeCookie(spec, { root, dir, places, prefix, stdio: shield.stdio, clock }, () =>
        cookies.delete(cookie),
      )
      cookies.add(cookie)
      if (!closed && !signal.aborted) return cookie
      await cookie[Symbol.asyncDispose]()
      signal.throwIfAborted()
      throw new DriverError('closed', 'the process driver is closed')
    },

    async [Symbol.asyncDispose]() {
      closed = true
      await Promise.all([...cookies].map((cookie) => cookie[Symbol.asyncDispose]()))
      shield[Symbol.dispose]()
    },
  }
}

interface Surroundings {
  readonly root: string
  /** The container's own folder. */
  readonly dir: string
  readonly places: Places
  readonly prefix: readonly string[]
  readonly stdio: readonly ('ignore' | number)[]
  readonly clock: Clock
}

function makeCookie(spec: ContainerSpec, around: Surroundings, disposed: () => void): Cookie {
  const { clock, dir, places, prefix, root, stdio } = around
  let child: Child | undefined
  let container: Container | undefined
  let used = false
  let recorded: Promise<void> | undefined

  const cleanUp = async () => {
    // Neither failure matters now: the next start of the driver removes what is left.
    await recorded?.catch(() => {})
    await Promise.allSettled([removeDir(dir), removeRecord(root, spec.id)])
  }

  return {
    async run(signal) {
      signal.throwIfAborted()
      if (used) throw new DriverError('closed', `container ${spec.id} was started already, or is closed`)
      used = true
      const { logLimit, mode } = spec
      const command = commandOf(spec, places)
      child = await spawnChild(command, { mode, logLimit, prefix, stdio, clock, cleanUp })
      if (child.pid !== undefined) recorded = writeRecord(root, spec.id, child.pid, dir)
      const socket = await start(child, spec, { io: places.io, clock, signal, recorded })
      container = makeContainer(spec, child, { socket, clock, alone: command.alone })
      return container
    },

    async [Symbol.asyncDispose]() {
      used = true
      if (container) await container[Symbol.asyncDispose]()
      else if (child) await child.stop('cancelled')
      else await cleanUp()
      child?.output.cut()
      disposed()
    },
  }
}

/** @throws DriverError when this machine cannot make another process */
async function spawnChild(command: Command, options: ChildOptions): Promise<Child> {
  let reason: unknown
  try {
    const child = startChild(command, options)
    // With a prefix it is the prefix that is spawned, and that is there: what failed was not the function.
    if (child.pid !== undefined || options.prefix.length === 0) return child
    reason = (await child.ended).error
  } catch (error) {
    reason = error
  }
  throw new DriverError('no-room', `cannot start a process: ${messageOf(reason)}`)
}

interface StartOptions {
  readonly io: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly recorded: Promise<void> | undefined
}

/** Waits until a child has started, and until a hot one is ready. A child that is not is stopped. */
async function start(
  child: Child,
  spec: ContainerSpec,
  options: StartOptions,
): Promise<PinnedSocket | undefined> {
  const { clock, io, recorded, signal } = options
  const stopped = { ended: child.ended, stop: child.stop, output: child.output.tail }
  const [socket, record] = await Promise.allSettled([
    spec.mode === 'hot'
      ? awaitSocket(io, { timeoutMs: spec.startTimeout, clock, signal, container: stopped })
      : undefined,
    recorded,
  ])
  if (socket.status === 'rejected') throw socket.reason
  if (record.status === 'fulfilled' && !signal.aborted) return socket.value
  await child.stop('cancelled')
  socket.value?.[Symbol.dispose]()
  signal.throwIfAborted()
  const cause = record.status === 'rejected' ? record.reason : undefined
  throw new DriverError('unavailable', `cannot write the record of ${spec.id}: ${messageOf(cause)}`, {
    cause,
  })
}

interface Running {
  readonly socket: PinnedSocket | undefined
  readonly clock: Clock
  /** It starts no other processes. */
  readonly alone: boolean
}

function makeContainer(spec: ContainerSpec, child: Child, { alone, clock, socket }: Running): Container {
  const { ended, output, pid, stdin, stop } = child
  output.started()
  const measurements = measure({ clock, ended, read: usageOf(pid, { alone, clock }) })
  limitTime(spec, { ended, stop }, { clock, startedAt: clock.now() })
  return {
    id: spec.id,
    socket: socket?.path,
    stdin,
    stdout: output.stdout,
    stderr: output.stderr,
    ended,
    async pause(signal) {
      signal.throwIfAborted()
      child.signal('SIGSTOP')
    },
    async resume(signal) {
      signal.throwIfAborted()
      child.signal('SIGCONT')
    },
    stats: (signal) => measurements.stream(signal),
    measured: () => measurements.kept(),
    stop,
    async [Symbol.asyncDispose]() {
      await stop('cancelled')
      output.cut()
      socket?.[Symbol.dispose]()
    },
  }
}

/** The bundle's real folder: Node's permission model grants no paths through links. */
async function findBundle({ source, workDir }: ContainerSpec): Promise<string> {
  if (source.kind !== 'bundle') throw new DriverError('unsupported', 'the process driver runs bundles only')
  try {
    const bundle = await realpath(source.dir)
    for (const dir of [bundle, resolve(bundle, workDir ?? '')])
      if (!(await stat(dir)).isDirectory()) throw new Error(`${dir} is not a folder`)
    return bundle
  } catch (error) {
    throw new DriverError('bad-spec', `cannot use the bundle: ${messageOf(error)}`, { cause: error })
  }
}

/** Asked of the bootstrap, which goes by it; one that is not ours may not know. */
function isScriptBundle(bootstrap: string, bundle: string): boolean {
  try {
    const { findEntry, isScript } = createRequire(bootstrap)('./entry.cjs')
    const entry = findEntry(bundle)
    return entry !== undefined && isScript(entry)
  } catch {
    return false
  }
}

async function makeDir(root: string): Promise<string> {
  try {
    const dir = await realpath(await makeShortDir(root, 'io'))
    await mkdir(join(dir, 'io'), { mode: 0o700 })
    await mkdir(join(dir, 'tmp'), { mode: 0o700 })
    return dir
  } catch (error) {
    if (error instanceof DriverError) throw error
    throw new DriverError('unavailable', `cannot make the container's folder: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
