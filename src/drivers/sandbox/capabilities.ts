import type { CgroupTree } from '../cgroup/cgroup.ts'
import { NO_CORE_LIMIT } from '../core-limit.ts'
import { type Capabilities, METRICS, NETWORKS } from '../driver.ts'

/** What of the sandbox this machine has. */
export interface Found {
  readonly bundles: boolean
  readonly images: boolean
  readonly tree: CgroupTree | undefined
  /** Containers have users of their own. */
  readonly users: boolean
  /** There is a filter of system calls for this processor. */
  readonly filter: boolean
  /** Why a container can have no network of its own. */
  readonly unconnected: string | undefined
  /** There is somebody whom it could ask for names. */
  readonly names: boolean
  /** What crashes is written to no file. */
  readonly coreLimited: boolean
}

export function capabilitiesOf(found: Found): Capabilities {
  const { bundles, images, tree, users, filter, unconnected } = found
  const limits = tree?.limits ?? []
  return {
    isolation: 'sandbox',
    isolates: [
      'files',
      'processes',
      'network',
      ...(users ? (['users'] as const) : []),
      ...(filter ? (['calls'] as const) : []),
    ],
    networks: NETWORKS.filter((network) => network !== 'outbound' || unconnected === undefined),
    ...(unconnected !== undefined && { networkMissing: unconnected }),
    runs: [...(bundles ? (['bundle'] as const) : []), ...(images ? (['image'] as const) : [])],
    modes: ['hot', 'cold'],
    // Everything that a container can write is a file system in memory with a size.
    limits: [...limits, 'disk'],
    options: [
      ...(limits.includes('cpu') ? (['cpuShares'] as const) : []),
      'extraHosts',
      'logLimit',
      'user',
      'volumes',
    ],
    pause: tree?.pause ?? false,
    measures: tree ? METRICS : [],
    trusts: 'The kernel, and bubblewrap: functions are processes of this machine behind its namespaces.',
    warnings: warningsOf(found),
  }
}

const LOST = {
  memory: 'memory is not limited, and running out of it is not told from other ends',
  cpu: 'CPU time is not limited',
  pids: 'the number of processes is not limited',
} as const

function warningsOf({ tree, users, filter, unconnected, names, coreLimited }: Found): string[] {
  const warnings: string[] = []
  const lost = (['memory', 'cpu', 'pids'] as const).filter((limit) => !tree?.limits.includes(limit))
  if (lost.length > 0)
    warnings.push(
      `${tree ? 'Some' : 'No'} control groups can be made here${tree ? ' only' : ' (run as root, or delegate them)'}: ` +
        `${lost.map((limit) => LOST[limit]).join('; ')}.`,
    )
  if (!users)
    warnings.push(
      'Functions run as your user: one that breaks out of its sandbox can do what you can. Root gives each a user of its own.',
    )
  if (!filter)
    warnings.push(`There is no filter of system calls for ${process.arch}: functions may make any.`)
  if (unconnected !== undefined)
    warnings.push(`Functions can have no network here, and one that asks for it is refused: ${unconnected}.`)
  else if (!names)
    warnings.push(
      'Functions with a network can resolve no names: all servers in /etc/resolv.conf are on the loopback of this machine.',
    )
  if (!coreLimited) warnings.push(NO_CORE_LIMIT)
  if (tree && !tree.killsAtOnce)
    warnings.push(
      'The kernel cannot end a control group at once (before 5.14): a forking function ends in rounds.',
    )
  return warnings
}
