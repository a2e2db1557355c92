import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  type GroupDirs,
  groupOf,
  type Mounts,
  V1_CONTROLLERS,
  type V1Controller,
} from '../../host/hierarchies.ts'
import { GROUP_LIMITS, type GroupLimit } from './limits.ts'

/** Where a driver makes its groups: inside the directories `dirs`, which exist. */
export interface Site {
  readonly dirs: GroupDirs
  readonly limits: readonly GroupLimit[]
}

/** Where a node moves itself when v2 wants its group empty. */
const LEAF = 'sluice-node'

/** io only counts. */
const V2_CONTROLLERS = [...GROUP_LIMITS, 'io'] as const

/**
 * Makes the directory `name`, in each tree as near to this process's own group as it may: so the limits that
 * somebody set for the node hold for its functions too, and a service manager that ends the node's group ends them.
 * @returns undefined when it may make none
 */
export function openSite(
  name: string,
  mounts: Mounts,
  proc: string,
  controllers: readonly string[] = V2_CONTROLLERS,
): Site | undefined {
  const own = groupOf('self', mounts, proc)
  const v1 = openV1(name, own)
  const unified =
    mounts.unified && own.unified
      ? openV2(name, own.unified, mounts.unified.mount, proc, controllers)
      : undefined
  if (!unified && Object.keys(v1).length === 0) return undefined
  const enforced = (limit: GroupLimit) => v1[limit] !== undefined || unified?.controllers.includes(limit)
  return {
    dirs: unified ? { ...v1, unified: unified.dir } : v1,
    limits: GROUP_LIMITS.filter(enforced),
  }
}

function openV1(name: string, own: GroupDirs): Partial<Record<V1Controller, string>> {
  const dirs: Partial<Record<V1Controller, string>> = {}
  for (const controller of V1_CONTROLLERS) {
    const dir = makeDir(own[controller], name)
    if (dir !== undefined) dirs[controller] = dir
  }
  return dirs
}

interface V2Site {
  readonly dir: string
  readonly controllers: readonly string[]
}

/**
 * In v2 a group that hands controllers to groups inside it may hold no process itself ("no internal processes"),
 * but the node's own group holds the node. Of two ways out, this takes the one that enforces more limits, and of
 * equals the nearer one:
 *
 * - the node's own group, from which it moves itself into a leaf beside its functions' groups. A service with
 *   `Delegate=yes` is made for that, and so is a container. Not where others are in the group too: they stay where
 *   they are.
 * - a group around it that holds no process and hands out controllers already, as every slice does. The functions'
 *   groups are then siblings of the node's. root may do that, and a user below `user@.service`.
 */
function openV2(
  name: string,
  own: string,
  mount: string,
  proc: string,
  wanted: readonly string[],
): V2Site | undefined {
  const home = basename(own) === LEAF ? dirname(own) : own
  const around = ancestorsOf(home, mount)
  const places = [
    { dir: home, controllers: words(home, 'cgroup.controllers'), own: true },
    ...around.map((dir) => ({ dir, controllers: words(dir, 'cgroup.subtree_control'), own: false })),
  ]
  const count = ({ controllers }: V2Site) =>
    wanted.filter((controller) => controllers.includes(controller)).length
  for (const place of places.toSorted((a, b) => count(b) - count(a))) {
    if (!isWritable(place.dir) || !isWritable(join(place.dir, 'cgroup.procs'))) continue
    if (place.own && !divide(place.dir, proc, wanted)) continue
    const dir = makeDir(place.dir, name)
    if (dir === undefined) continue
    return { dir, controllers: handDown(dir, wanted).enabled }
  }
  return undefined
}

/**
 * Has `dir`, our own group, hand its controllers to groups inside it. Only the true root may hold processes then, and
 * has no type; in others the kernel does not refuse that for every controller, but the groups inside are invalid.
 * @returns whether it does
 */
function divide(dir: string, proc: string, wanted: readonly string[]): boolean {
  const offers = words(dir, 'cgroup.controllers').some((controller) => wanted.includes(controller))
  const mustBeEmpty = offers && existsSync(join(dir, 'cgroup.type'))
  if (mustBeEmpty && words(dir, 'cgroup.procs').length > 0 && !stepAside(dir, proc)) return false
  return !handDown(dir, wanted).busy
}

/** Enables what can be for the groups inside `dir`, each on its own: one that cannot be must not cost the others. */
function handDown(dir: string, wanted: readonly string[]): { enabled: readonly string[]; busy: boolean } {
  const offered = words(dir, 'cgroup.controllers')
  const already = words(dir, 'cgroup.subtree_control')
  const enabled: string[] = []
  let busy = false
  for (const controller of wanted.filter((controller) => offered.includes(controller))) {
    const error = already.includes(controller)
      ? undefined
      : write(join(dir, 'cgroup.subtree_control'), `+${controller}`)
    if (error === undefined) enabled.push(controller)
    busy ||= error === 'EBUSY'
  }
  return { enabled, busy }
}

/** Moves what is in our own group into a leaf of it, when that is nobody but us. @returns whether the group is empty */
function stepAside(dir: string, proc: string): boolean {
  // What one of them starts meanwhile is in the group again.
  for (let round = 0; round < 10; round++) {
    const pids = words(dir, 'cgroup.procs').map(Number)
    if (pids.length === 0) return true
    if (!pids.every((pid) => isFamily(pid, proc))) return false
    const leaf = makeDir(dir, LEAF)
    if (leaf === undefined) return false
    for (const pid of pids) write(join(leaf, 'cgroup.procs'), String(pid))
  }
  return false
}

/** Whether a process is this one, one that led to it, or one that it led to. */
function isFamily(pid: number, proc: string): boolean {
  return lineOf(process.pid, proc).includes(pid) || lineOf(pid, proc).includes(process.pid)
}

/** A process and those above it, up to the first, which is everybody's. */
function lineOf(pid: number, proc: string): number[] {
  const line: number[] = []
  for (let next = pid; next > 0 && !line.includes(next); next = parentOf(next, proc)) line.push(next)
  return line
}

function parentOf(pid: number, proc: string): number {
  const stat = read(join(proc, String(pid), 'stat'))
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0)
}

/** From the nearest to where the tree begins. */
function ancestorsOf(dir: string, mount: string): string[] {
  const above = dirname(dir)
  return dir === mount || above === dir ? [] : [above, ...ancestorsOf(above, mount)]
}

/** `undefined` where it may not be made. */
function makeDir(parent: string | undefined, name: string): string | undefined {
  if (parent === undefined) return undefined
  const dir = join(parent, name)
  try {
    if (!existsSync(dir)) mkdirSync(dir)
    return isWritable(dir) ? dir : undefined
  } catch {
    return undefined
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** @returns the error's code, if any */
function write(path: string, text: string): string | undefined {
  try {
    writeFileSync(path, text)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'UNKNOWN'
  }
}

const words = (dir: string, file: string): string[] => read(join(dir, file)).split(/\s+/).filter(Boolean)

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
