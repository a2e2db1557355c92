import { statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, limit, sleep } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { DriverError, type Network } from '../driver.ts'
import { openIo } from '../io.ts'
import type { BoxOptions } from './box.ts'
import type { Room } from './bubblewrap.ts'
import { identify, makeFolder } from './folder.ts'
import { type Launched, type LaunchOptions, launch } from './launch.ts'
import { findBarrier } from './reach.ts'
import { makeMountPoint } from './rootfs.ts'
import type { User } from './users.ts'

export interface ProbeOptions
  extends Pick<LaunchOptions, 'bwrap' | 'prefix' | 'filter' | 'masks' | 'inherited'> {
  /** The folder of all containers. */
  readonly root: string
  /** The rootfs of bundles; without one, an empty folder will do. */
  readonly rootfs: string | undefined
  readonly user: User | undefined
  readonly clock: Clock
}

/** No rootfs has it: that nothing but this is missing says that all else is there. */
const NOTHING = '/.sluice-probe'

const LIMIT = 30_000

/**
 * Makes a sandbox in every way as for a container, but for the program, and looks into it.
 * @throws DriverError `unavailable` with what is wrong and what to do
 */
export async function probe(options: ProbeOptions): Promise<void> {
  const { root, user } = options
  await using folder = await makeFolder(root, user)
  const rootfs = options.rootfs ?? (await makeRootfs(folder.path))
  const files = { '/etc/hosts': await folder.write('hosts', '') }
  const reason = await tryOut(options, roomOf(rootfs, files, 'none'))
  if (reason === undefined) return
  for (const path of [rootfs, folder.path]) await refuseBarrier(path, user)
  throw new DriverError('unavailable', `bubblewrap makes no sandbox here: ${reason}`)
}

/** Makes a sandbox with a network of its own. @returns why it cannot be */
export async function probeNetwork(
  options: ProbeOptions,
  connect: NonNullable<BoxOptions['connect']>,
): Promise<string | undefined> {
  await using folder = await makeFolder(options.root, options.user)
  const rootfs = options.rootfs ?? (await makeRootfs(folder.path))
  return tryOut(options, roomOf(rootfs, {}, 'outbound'), connect)
}

const roomOf = (rootfs: string, files: Room['files'], network: Network): Room => ({
  ...{ rootfs, files, volumes: [], tmpfsSize: 4096, uid: 1000, gid: 1000 },
  ...{ hostname: 'probe', network, env: {}, workDir: '/' },
})

async function makeRootfs(dir: string): Promise<string> {
  const rootfs = join(dir, 'rootfs')
  await mkdir(rootfs)
  for (const target of ['/proc', '/dev', '/tmp']) makeMountPoint(rootfs, target, 'folder')
  makeMountPoint(rootfs, '/etc/hosts', 'file')
  return rootfs
}

/** @returns what went wrong */
async function tryOut(
  options: ProbeOptions,
  room: Room,
  connect?: BoxOptions['connect'],
): Promise<string | undefined> {
  const { user, clock } = options
  let launched: Launched
  try {
    launched = await launch({ ...options, room, mode: 'hot', argv: [NOTHING], adopt: () => undefined })
  } catch (error) {
    return `${messageOf(error)}${user ? `, as user ${user.uid}` : ''}`
  }
  launched.stdout.resume()
  launched.stderr.resume()
  using timer = limit(clock, LIMIT)
  timer.signal.addEventListener('abort', () => process.kill(launched.pid, 'SIGKILL'), { once: true })
  const first = await launched.first
  const trouble =
    first === undefined
      ? undefined
      : ((await lookInto(first, user, clock, timer.signal)) ?? (await tryConnect(first, connect)))
  launched.release()
  const { complaint } = await launched.exit
  await launched.drained
  if (complaint.startsWith('execvp ')) return trouble
  return complaint || trouble || `it was not done within ${LIMIT} ms`
}

async function tryConnect(pid: number, connect: BoxOptions['connect']): Promise<string | undefined> {
  try {
    await using _uplink = await connect?.(pid, () => undefined)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Waits until the folder of its socket is there: before that, the process sees this machine's files. */
async function lookInto(
  pid: number,
  user: User | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const uid = user?.uid ?? process.getuid?.()
  try {
    while (!signal.aborted && identify(pid)) {
      using io = openIo(pid)
      if (io && statSync(io.path).uid === uid) return undefined
      await sleep(clock, 2, signal)
    }
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

async function refuseBarrier(path: string, user: User | undefined): Promise<void> {
  const barrier = user && (await findBarrier(path, user))
  if (barrier)
    throw new DriverError(
      'unavailable',
      `the users of containers cannot pass through ${barrier}: choose another data folder, or chmod o+x ${barrier}`,
    )
}
