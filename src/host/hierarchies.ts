import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What this folder knows of v1; in v2 all are one tree, and cpuacct, freezer and blkio are cpu, the tree itself and io. */
export const V1_CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'pids', 'freezer', 'blkio'] as const
export type V1Controller = (typeof V1_CONTROLLERS)[number]

/** The directories of one group: one a v1 controller (two may share one), and that in the v2 tree. */
export type GroupDirs = Readonly<Partial<Record<V1Controller | 'unified', string>>>

/** A mounted tree of groups. */
export interface Hierarchy {
  readonly version: 1 | 2
  /** Of v1: those it was mounted with. */
  readonly controllers: readonly string[]
  readonly mount: string
  /** What part of the tree is mounted: `/`, or in a container often its own group only. */
  readonly root: string
}

/** All that is mounted, by the kernel's word: its version says little about which trees a system chose. */
export interface Mounts {
  readonly v1: Readonly<Partial<Record<V1Controller, Hierarchy>>>
  readonly unified: Hierarchy | undefined
}

export function readMounts(proc: string): Mounts {
  const all = parseMountinfo(readFileSync(join(proc, 'self/mountinfo'), 'utf8'))
  const find = (controller: string) =>
    all.find(({ version, controllers }) => version === 1 && controllers.includes(controller))
  const v1 = V1_CONTROLLERS.map((controller) => [controller, find(controller)] as const)
  return {
    v1: Object.fromEntries(v1.filter(([, found]) => found)),
    unified: all.find(({ version }) => version === 2),
  }
}

/** The group that a process is in, as far as it is mounted here. @throws when there is no such process */
export function groupOf(pid: number | 'self', mounts: Mounts, proc: string): GroupDirs {
  const paths = parseMembership(readFileSync(join(proc, String(pid), 'cgroup'), 'utf8'))
  const dirs: Partial<Record<keyof GroupDirs, string>> = {}
  for (const controller of V1_CONTROLLERS) {
    const dir = dirOf(mounts.v1[controller], paths.get(controller))
    if (dir !== undefined) dirs[controller] = dir
  }
  const dir = dirOf(mounts.unified, paths.get(''))
  return dir === undefined ? dirs : { ...dirs, unified: dir }
}

/** The places where the mounted trees begin. */
export function topsOf({ v1, unified }: Mounts): string[] {
  const all = [...Object.values(v1), ...(unified ? [unified] : [])]
  return [...new Set(all.map(({ mount }) => mount))]
}

function dirOf(hierarchy: Hierarchy | undefined, path: string | undefined): string | undefined {
  if (!hierarchy || path === undefined || path.split('/').includes('..')) return undefined
  const { mount, root } = hierarchy
  if (root === '/') return join(mount, path)
  return path === root || path.startsWith(`${root}/`) ? join(mount, path.slice(root.length)) : undefined
}

/** `36 30 0:31 /root /mount/point opts [optional fields] - type source superopts`, see proc_pid_mountinfo(5). */
export function parseMountinfo(text: string): Hierarchy[] {
  const found: Hierarchy[] = []
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root = '', mount = ''] = before.split(' ').map(decodeField)
    const [type, , options = ''] = after.split(' ')
    if (type === 'cgroup') found.push({ version: 1, controllers: options.split(','), mount, root })
    if (type === 'cgroup2') found.push({ version: 2, controllers: [], mount, root })
  }
  return found
}

const decodeField = (field: string): string =>
  field.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Lines `4:cpu,cpuacct:/path`, and `0::/path` for v2, whose name here is the empty one. */
export function parseMembership(text: string): Map<string, string> {
  const paths = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line)
    for (const controller of match?.[1]?.split(',') ?? []) paths.set(controller, match?.[2] as string)
  }
  return paths
}
