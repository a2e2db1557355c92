import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type Hierarchy, parseMembership, parseMountinfo } from './hierarchies.ts'

/** What the containers of this machine may be promised together when nobody says otherwise. */
export interface MachineResources {
  /** Bytes. */
  readonly memory: number
  /** With decimals: a quota of one and a half CPUs is 1.5. */
  readonly cpus: number
}

export interface MachineSources {
  /** The text of a file, or undefined when it cannot be read. */
  readonly read: (path: string) => string | undefined
  /** CPUs by the system's own word, for where /proc does not tell. */
  readonly parallelism: () => number
}

/** Values from here on are how a kernel says "no limit". */
const UNLIMITED = 2 ** 60

/** Bytes, where nothing tells. */
const UNKNOWN_MEMORY = 2 * 1024 ** 3

/**
 * Memory: the smallest of the limits of the control groups around this process (v1, v2 and hybrids) and of what the
 * kernel calls available now, less a tenth for the node itself. CPUs: the smallest of the quotas and sets of those
 * groups, of those that this process may run on and of those that there are.
 */
export function machineResources(sources: MachineSources = SYSTEM): MachineResources {
  const { read, parallelism } = sources
  const groups = groupsAround(read)
  const limits = groups.flatMap((dir) => memoryLimits(dir, read))
  const memory = least([...limits, available(read('/proc/meminfo'))]) ?? UNKNOWN_MEMORY
  const there = least([allowed(read('/proc/self/status')), installed(read('/proc/cpuinfo'))])
  const cpus = [...groups.flatMap((dir) => cpuLimits(dir, read)), there ?? parallelism()]
  return { memory: Math.floor(memory * 0.9), cpus: least(cpus) ?? 1 }
}

const SYSTEM: MachineSources = { read: readText, parallelism: availableParallelism }

type Read = MachineSources['read']

const least = (values: readonly (number | undefined)[]): number | undefined => {
  const known = values.filter((value) => value !== undefined && value > 0) as number[]
  return known.length > 0 ? Math.min(...known) : undefined
}

const CONTROLLERS = ['memory', 'cpu', 'cpuset'] as const

/** Where the trees are on nearly every system, for when the list of mounts cannot be read. */
const USUAL: readonly Hierarchy[] = [
  { version: 2, controllers: [], mount: '/sys/fs/cgroup', root: '/' },
  ...CONTROLLERS.map((controller) => ({
    version: 1 as const,
    controllers: [controller],
    mount: `/sys/fs/cgroup/${controller}`,
    root: '/',
  })),
]

/** The directories of the groups that this process is in, from where their trees begin down to its own ones. */
function groupsAround(read: Read): string[] {
  const mounted = parseMountinfo(read('/proc/self/mountinfo') ?? '')
  const trees = mounted.length > 0 ? mounted : USUAL
  const paths = parseMembership(read('/proc/self/cgroup') ?? '')
  const ways = ['', ...CONTROLLERS].map((controller) =>
    wayUp(treesOf(controller, trees), paths.get(controller)),
  )
  return [...new Set(ways.flat())]
}

/** The empty name stands for v2, as in /proc/self/cgroup. */
const treesOf = (controller: string, trees: readonly Hierarchy[]): Hierarchy[] =>
  trees.filter(({ version, controllers }) =>
    controller === '' ? version === 2 : version === 1 && controllers.includes(controller),
  )

/**
 * A container often sees only its own part of a tree, and may be told a path that is not in it: then the top of what
 * it sees is the nearest group around it.
 */
function wayUp(trees: readonly Hierarchy[], path = '/'): string[] {
  const tree = trees.find(({ root }) => isBelow(path, root)) ?? trees[0]
  if (!tree) return []
  const { mount, root } = tree
  const inside = isBelow(path, root) ? path.slice(root === '/' ? 0 : root.length) : ''
  const way = [mount]
  for (const name of inside.split('/').filter(Boolean)) way.push(join(way.at(-1) as string, name))
  return way
}

const isBelow = (path: string, root: string): boolean =>
  !path.split('/').includes('..') && (root === '/' || path === root || path.startsWith(`${root}/`))

/** Bytes. Above `memory.high` a group is slowed down until it stands nearly still, so it counts like a limit. */
function memoryLimits(dir: string, read: Read): (number | undefined)[] {
  // What v1 sums up from the groups above, also those that cannot be seen from here.
  const hierarchical = /^hierarchical_memory_limit (\d+)$/m.exec(read(join(dir, 'memory.stat')) ?? '')?.[1]
  return [
    bytes(read(join(dir, 'memory.max'))),
    bytes(read(join(dir, 'memory.high'))),
    bytes(read(join(dir, 'memory.limit_in_bytes'))),
    bytes(hierarchical),
  ]
}

function bytes(text: string | undefined): number | undefined {
  const value = whole(text)
  return value !== undefined && value < UNLIMITED ? value : undefined
}

/** A count above zero; `max` and `-1` are none. */
function whole(text: string | undefined): number | undefined {
  const value = /^\d+$/.test(text?.trim() ?? '') ? Number(text) : 0
  return value > 0 ? value : undefined
}

function available(meminfo: string | undefined): number | undefined {
  const kib = whole(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo ?? '')?.[1])
  return kib === undefined ? undefined : kib * 1024
}

function cpuLimits(dir: string, read: Read): (number | undefined)[] {
  const [quota, period] = (read(join(dir, 'cpu.max')) ?? '').trim().split(' ')
  return [
    share(quota, period),
    share(read(join(dir, 'cpu.cfs_quota_us')), read(join(dir, 'cpu.cfs_period_us'))),
    cpuSet(dir, read),
  ]
}

/** CPUs of a quota and its period, in any unit. */
function share(quota: string | undefined, period: string | undefined): number | undefined {
  const [use, of] = [whole(quota), whole(period)]
  return use !== undefined && of !== undefined ? use / of : undefined
}

/** What was granted counts before what was asked for. */
function cpuSet(dir: string, read: Read): number | undefined {
  for (const name of ['cpuset.cpus.effective', 'cpuset.effective_cpus', 'cpuset.cpus']) {
    const count = countList(read(join(dir, name)))
    if (count !== undefined) return count
  }
  return undefined
}

function allowed(status: string | undefined): number | undefined {
  return countList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status ?? '')?.[1])
}

function installed(cpuinfo: string | undefined): number | undefined {
  return cpuinfo?.match(/^processor\b/gm)?.length
}

/** How many `0-3,8` are. */
function countList(text: string | undefined): number | undefined {
  let count = 0
  for (const item of text?.trim().split(',') ?? []) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(item) ?? []
    const size = Number(last) - Number(first) + 1
    if (!(size > 0)) return undefined
    count += size
  }
  return count > 0 ? count : undefined
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
