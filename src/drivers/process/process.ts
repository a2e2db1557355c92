import { mkdir, realpath, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Clock, systemClock } from '../../core/clock.ts'
import { messageOf, shortageOf } from '../../core/errors.ts'
import { type Capabilities, type ContainerSpec, type Driver, DriverError } from '../driver.ts'
import { shieldInherited } from '../inherited.ts'
import { driverOf, type Made, type Running } from '../lifecycle.ts'
import { measure } from '../measurements.ts'
import { awaitSocket, makeShortDir, removeDir } from '../socket.ts'
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
 * Containers that are child processes: development and trusted code only. Nothing stands between a function and your
 * user. What it started ends with it, also in sessions of their own; only a daemon that left its family behind and
 * cleared its environment escapes.
 */
export async function processDriver(options: ProcessDriverOptions): Promise<Driver> {
  const { clock = systemClock, node = process.execPath } = options
  await mkdir(join(options.dataDir, 'process'), { recursive: true, mode: 0o700 })
  const root = await realpath(join(options.dataDir, 'process'))
  await bound(options.dataDir)
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
  return driverOf({
    name: 'process',
    capabilities,
    clock,
    async make(spec) {
      const bundle = await findBundle(spec)
      const dir = await makeDir(root)
      const stripped = strippedOf(spec)
      const places = { node, bootstrap, bundle, stripped, io: join(dir, 'io'), tmp: join(dir, 'tmp') }
      return makeOf(spec, { root, dir, places, prefix, stdio: shield.stdio, clock })
    },
    close: () => shield[Symbol.dispose](),
  })
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

function makeOf(spec: ContainerSpec, { clock, dir, places, prefix, root, stdio }: Surroundings): Made {
  return {
    async start(_signal, remove) {
      const { logLimit, mode } = spec
      const command = commandOf(spec, places)
      const child = await spawnChild(command, { mode, logLimit, prefix, stdio, clock, dir, cleanUp: remove })
      await record(child, spec.id, root, dir)
      return runningOf(child, clock, places.io)
    },
    remove: async () => void (await Promise.all([removeDir(dir), removeRecord(root, spec.id)])),
  }
}

/** A child that has no record is stopped: the next start of the driver would not find it. */
async function record(child: Child, id: string, root: string, dir: string): Promise<void> {
  if (child.pid === undefined) return
  try {
    await writeRecord(root, id, child.pid, dir)
  } catch (error) {
    await child.stop('cancelled')
    const text = `cannot write the record of ${id}: ${messageOf(error)}`
    throw new DriverError(shortageOf(error) ?? 'unavailable', text, { cause: error })
  }
}

/** @throws DriverError when this machine cannot make another process */
async function spawnChild(command: Command, options: ChildOptions): Promise<Child> {
  try {
    return await startChild(command, options)
  } catch (error) {
    const fault = shortageOf(error) ?? 'no-room'
    throw new DriverError(fault, `cannot start a process: ${messageOf(error)}`, { cause: error })
  }
}

/** `io`: the folder of its socket. */
function runningOf(child: Child, clock: Clock, io: string): Running {
  const { ended, pid } = child
  const measurements = measure({ clock, ended, read: usageOf(pid, clock) })
  return {
    ...child,
    findSocket: (waiting) => awaitSocket(io, waiting),
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
  }
}

/** What is above a bundle in this folder is no part of it: Node would take the package.json of a project around it. */
async function bound(dataDir: string): Promise<void> {
  await writeFile(join(dataDir, 'package.json'), '{}\n', { flag: 'wx', mode: 0o600 }).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
}

function strippedOf({ source }: ContainerSpec): string | undefined {
  return source.kind === 'bundle' && source.stripped !== undefined ? resolve(source.stripped) : undefined
}

/** The bundle's real folder. */
async function findBundle({ source, workDir }: ContainerSpec): Promise<string> {
  if (source.kind !== 'bundle') throw new DriverError('unsupported', 'the process driver runs bundles only')
  try {
    const bundle = await realpath(source.dir)
    for (const dir of [bundle, resolve(bundle, workDir ?? '')])
      if (!(await stat(dir)).isDirectory()) throw new Error(`${dir} is not a folder`)
    return bundle
  } catch (error) {
    const text = `cannot use the bundle: ${messageOf(error)}`
    throw new DriverError(shortageOf(error) ?? 'bad-spec', text, { cause: error })
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
    const text = `cannot make the container's folder: ${messageOf(error)}`
    throw new DriverError(shortageOf(error) ?? 'unavailable', text, { cause: error })
  }
}
