import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { ImageFolder } from '../archive/archive.ts'
import { type CgroupTree, openCgroups } from '../cgroup/cgroup.ts'
import { findCoreLimit } from '../core-limit.ts'
import { type Driver, DriverError } from '../driver.ts'
import { shieldInherited } from '../inherited.ts'
import { driverOf } from '../lifecycle.ts'
import { findBubblewrap, maskProc } from './bubblewrap.ts'
import { capabilitiesOf } from './capabilities.ts'
import { type Machine, makeSandbox } from './cookie.ts'
import { checkReach, type Reach } from './destinations.ts'
import { openRoot, reapFolders } from './folder.ts'
import { readNames } from './nameservers.ts'
import { probe, probeNetwork } from './probe.ts'
import type { SandboxRuntime } from './program.ts'
import { rememberReads } from './reach.ts'
import { seccompFilter } from './seccomp.ts'
import { findUplink, openUplink } from './uplink.ts'
import { openUsers } from './users.ts'

export interface SandboxDriverOptions {
  /** Folder for what must outlive this process: a sub-folder `sandbox` is made. Used by one process at a time. */
  readonly dataDir: string
  /** @default the system's */
  readonly clock?: Clock
  /** What bundles run on. @default none: it runs no bundles */
  readonly runtime?: SandboxRuntime
  /** @default none: it runs no images */
  readonly images?: ImageFolder
  /** Of containers, one each. Only root can give them. @default 10,000 from 200,000 */
  readonly uids?: { readonly first: number; readonly count: number }
  /** Whom functions with a network reach besides the internet, and whom not. @default no private address */
  readonly reach?: Reach
}

/** What of this machine it is made of. */
export interface Parts {
  readonly findBubblewrap: () => string | undefined
  readonly findUplink: typeof findUplink
  readonly openCgroups: (options: { name: string; clock: Clock }) => Promise<CgroupTree | undefined>
  readonly seccompFilter: (arch: string) => Uint8Array | undefined
}

/**
 * Containers without an engine: bubblewrap run by an unprivileged user, a control group, a filter of system calls.
 * What this machine lacks of it is said in the warnings. Network `outbound` is one of its own, closed to this machine
 * and to private addresses; `host` is the machine's, with its loopback and its abstract sockets.
 * @throws DriverError `unavailable` when there is no bubblewrap, or no sandbox can be made
 */
export function sandboxDriver(options: SandboxDriverOptions): Promise<Driver> {
  return openSandboxDriver(options, { findBubblewrap, findUplink, openCgroups, seccompFilter })
}

/** With other parts, for the tests of what it does without one. */
export async function openSandboxDriver(options: SandboxDriverOptions, parts: Parts): Promise<Driver> {
  await using undo = new AsyncDisposableStack()
  const { machine, unconnected, coreLimited } = await openMachine(options, parts, undo)
  const capabilities = capabilitiesOf({
    bundles: options.runtime !== undefined,
    images: options.images !== undefined,
    tree: machine.tree,
    users: machine.users !== undefined,
    filter: machine.filter !== undefined,
    unconnected,
    coreLimited,
    names: readNames().servers.length > 0,
  })
  const hold = undo.move()
  return driverOf({
    name: 'sandbox',
    capabilities,
    clock: machine.clock,
    make: (spec, signal) => makeSandbox(spec, machine, signal),
    close: () => hold.disposeAsync(),
  })
}

/** Opens what all containers share, removes what a killed predecessor left, and tries it out. */
async function openMachine(
  options: SandboxDriverOptions,
  parts: Parts,
  undo: AsyncDisposableStack,
): Promise<{ machine: Machine; unconnected: string | undefined; coreLimited: boolean }> {
  const { clock = systemClock, runtime, images, reach = {} } = options
  checkReach(reach)
  const bwrap = parts.findBubblewrap()
  if (bwrap === undefined)
    throw new DriverError(
      'unavailable',
      'the sandbox driver needs bubblewrap (bwrap): install it, 0.8 or newer',
    )
  const root = await openRoot(join(options.dataDir, 'sandbox'))
  const tree = await parts.openCgroups({ name: groupsName(root), clock })
  if (tree) undo.use(tree)
  await tree?.reap()
  await reapFolders(root, clock)
  const users = process.getuid?.() === 0 ? openUsers({ ...(options.uids ?? UIDS), owner: root }) : undefined
  const shield = undo.use(shieldInherited())
  const coreLimit = await findCoreLimit()
  const machine = {
    ...{ root, clock, bwrap, tree, users, runtime, images },
    prefix: coreLimit ?? [],
    filter: parts.seccompFilter(process.arch),
    masks: maskProc(),
    inherited: shield.stdio,
    reads: rememberReads(),
  }
  const tools = parts.findUplink()
  const connect: Machine['connect'] =
    'missing' in tools
      ? undefined
      : (pid, adopt) => openUplink(pid, { tools, reach, clock, adopt, inherited: shield.stdio })
  const unconnected =
    (await tryOut({ ...machine, connect })) ?? ('missing' in tools ? tools.missing : undefined)
  return {
    machine: { ...machine, connect: unconnected === undefined ? connect : undefined },
    unconnected,
    coreLimited: coreLimit !== undefined,
  }
}

/** @returns why a container can have no network of its own, where that was tried */
async function tryOut(machine: Machine): Promise<string | undefined> {
  const { users, runtime, connect } = machine
  const user = users?.take()
  try {
    const options = { ...machine, user, rootfs: runtime?.dir }
    await probe(options)
    return connect && (await probeNetwork(options, connect))
  } finally {
    if (user) users?.give(user)
  }
}

/** Where the groups of a driver's containers are, by the folder of its containers: all drivers of a machine share the tree. */
export const groupsName = (root: string): string =>
  `sluice-${createHash('sha256').update(root).digest('hex').slice(0, 12)}`

const UIDS = { first: 200_000, count: 10_000 }
