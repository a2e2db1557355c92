import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { ImageFolder } from '../archive/archive.ts'
import { type CgroupTree, openCgroups } from '../cgroup/cgroup.ts'
import { type Driver, DriverError } from '../driver.ts'
import { shieldInherited } from '../inherited.ts'
import { driverOf } from '../lifecycle.ts'
import { findBubblewrap, maskProc } from './bubblewrap.ts'
import { capabilitiesOf } from './capabilities.ts'
import { type Machine, makeSandbox } from './cookie.ts'
import { openRoot, reapFolders } from './folder.ts'
import { probe } from './probe.ts'
import type { SandboxRuntime } from './program.ts'
import { rememberReads } from './reach.ts'
import { seccompFilter } from './seccomp.ts'
import { openUsers } from './users.ts'

export interface SandboxDriverOptions {
  /** Folder for what must outlive this process: a sub-folder `sandbox` is made. Used by one process at a time. */
  readonly dataDir: string
  readonly clock: Clock
  /** What bundles run on. @default none: it runs no bundles */
  readonly runtime?: SandboxRuntime
  /** @default none: it runs no images */
  readonly images?: ImageFolder
  /** Of containers, one each. Only root can give them. @default 10,000 from 200,000 */
  readonly uids?: { readonly first: number; readonly count: number }
}

/** What of this machine it is made of. */
export interface Parts {
  readonly findBubblewrap: () => string | undefined
  readonly openCgroups: (options: { name: string; clock: Clock }) => Promise<CgroupTree | undefined>
  readonly seccompFilter: (arch: string) => Uint8Array | undefined
}

/**
 * Containers without an engine: bubblewrap run by an unprivileged user, a control group, a filter of system calls.
 * What this machine lacks of it is said in the warnings. A container has no network, or the machine's own: `outbound`
 * is `host` here, with the machine's loopback and its abstract sockets.
 * @throws DriverError `unavailable` when there is no bubblewrap, or no sandbox can be made
 */
export function sandboxDriver(options: SandboxDriverOptions): Promise<Driver> {
  return openSandboxDriver(options, { findBubblewrap, openCgroups, seccompFilter })
}

/** With other parts, for the tests of what it does without one. */
export async function openSandboxDriver(options: SandboxDriverOptions, parts: Parts): Promise<Driver> {
  await using undo = new AsyncDisposableStack()
  const machine = await openMachine(options, parts, undo)
  const capabilities = capabilitiesOf({
    bundles: options.runtime !== undefined,
    images: options.images !== undefined,
    tree: machine.tree,
    users: machine.users !== undefined,
    filter: machine.filter !== undefined,
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
): Promise<Machine> {
  const { clock, runtime, images } = options
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
  const machine = {
    ...{ root, clock, bwrap, tree, users, runtime, images },
    filter: parts.seccompFilter(process.arch),
    masks: maskProc(),
    inherited: shield.stdio,
    reads: rememberReads(),
  }
  await tryOut(machine)
  return machine
}

async function tryOut(machine: Machine): Promise<void> {
  const { users, runtime } = machine
  const user = users?.take()
  try {
    await probe({ ...machine, user, rootfs: runtime?.dir })
  } finally {
    if (user) users?.give(user)
  }
}

/** Where the groups of a driver's containers are, by the folder of its containers: all drivers of a machine share the tree. */
export const groupsName = (root: string): string =>
  `sluice-${createHash('sha256').update(root).digest('hex').slice(0, 12)}`

const UIDS = { first: 200_000, count: 10_000 }
