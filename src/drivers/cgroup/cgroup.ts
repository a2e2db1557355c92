import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { type GroupDirs, groupOf, type Mounts, readMounts, topsOf } from '../../host/hierarchies.ts'
import { DriverError } from '../driver.ts'
import { readOomKills, readPeak, readSample } from './counters.ts'
import { type GroupLimit, type GroupLimits, setLimits } from './limits.ts'
import { freeze, kill, removeDirs, thaw } from './processes.ts'
import { openSite, type Site } from './site.ts'

/** Where this process may make groups, and what they can do. Made once a driver; disposed after its groups. */
export interface CgroupTree extends AsyncDisposable {
  /** 1 with any v1 controller, also beside a v2 tree. */
  readonly version: 1 | 2
  /** Limits its groups enforce. */
  readonly limits: readonly GroupLimit[]
  readonly pause: boolean
  /** One write ends all of a group's processes. */
  readonly killsAtOnce: boolean
  /**
   * Makes a group with its limits set; of those that this tree does not enforce, without.
   * @throws DriverError `no-room` or `unavailable`
   */
  make(name: string, limits: GroupLimits): Promise<Cgroup>
  /** Ends and removes the groups that a killed predecessor of this name left, wherever it made them. */
  reap(): Promise<void>
}

/** Disposing it ends what is in it and removes it; twice is fine. */
export interface Cgroup extends GroupCounters, AsyncDisposable {
  /**
   * Moves a process in, and thereby what it starts from then on. Memory that it has already stays charged where it was.
   * @throws DriverError `unavailable`, also when it has ended
   */
  add(pid: number): Promise<void>
  /** @throws DriverError `unavailable` when it has not come to a halt after 5 s */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /**
   * Ends everything in it, also what is frozen; resolves when it is empty.
   * @throws DriverError `unavailable` when it is not after 5 s
   */
  kill(): Promise<void>
}

export interface GroupCounters {
  /**
   * How often the kernel killed for memory; once the group has gone, what was read last. Under v1 the kernel kills
   * one process and lets the others run, and tells nobody who does not hold an eventfd, which Node cannot: read
   * this every second, and after the end of the first process before the group is disposed.
   */
  oomKills(): number
  /**
   * Those of `mem_limit`, `mem_usage`, `disk_read`, `disk_write` (bytes), `cpu_user`, `cpu_kernel` (ns) that the kernel
   * tells, summed up since the group was made; `undefined` once it is gone.
   */
  sample(): Record<string, number> | undefined
  /** The most memory that it has had at once, in bytes; `undefined` where the kernel does not tell (v2 before 5.19). */
  peak(): number | undefined
}

export interface CgroupOptions {
  /** Of the directory that holds this driver's groups: no other driver or data folder on this machine has it. */
  readonly name: string
  readonly clock: Clock
  /** Where to read what is mounted. @default '/proc' */
  readonly proc?: string
}

/**
 * May move this process into a group inside its own (v2 only, see `site.ts`).
 * @returns undefined where this process may make no groups: it is not root, and nothing was delegated to it
 */
export async function openCgroups(options: CgroupOptions): Promise<CgroupTree | undefined> {
  const { name, proc = '/proc' } = options
  const found = inspect(proc, (mounts) => ({ mounts, site: openSite(name, mounts, proc) }))
  return found?.site ? makeTree({ ...options, proc, mounts: found.mounts, site: found.site }) : undefined
}

/**
 * The counters of the group that a process is in now, made by whomever.
 * @returns undefined when there is no such process, or no groups are mounted
 */
export function readCgroup(pid: number, proc = '/proc'): GroupCounters | undefined {
  const dirs = inspect(proc, (mounts) => groupOf(pid, mounts, proc))
  return dirs && Object.keys(dirs).length > 0 ? countersOf(dirs) : undefined
}

/** `undefined` also without /proc, or when the process goes away. */
function inspect<T>(proc: string, read: (mounts: Mounts) => T): T | undefined {
  try {
    return read(readMounts(proc))
  } catch {
    return undefined
  }
}

interface TreeOptions {
  readonly name: string
  readonly site: Site
  readonly mounts: Mounts
  readonly proc: string
  readonly clock: Clock
}

function makeTree({ name, site, mounts, proc, clock }: TreeOptions): CgroupTree {
  const parents = new Set(Object.values(site.dirs))
  const live = new Set<string>()
  const warmUp = () => stay(mounts, proc).catch(() => {})
  const has = (file: string) => [...parents].some((dir) => existsSync(join(dir, file)))

  return {
    version: Object.keys(site.dirs).some((tree) => tree !== 'unified') ? 1 : 2,
    limits: site.limits,
    pause: has('freezer.state') || has('cgroup.freeze'),
    killsAtOnce: has('cgroup.kill'),

    async make(group, limits) {
      if (live.has(group)) throw new DriverError('unavailable', `there is a group ${group} already`)
      warmUp()
      const dirs = mapDirs(site.dirs, (parent) => join(parent, group))
      const made: string[] = []
      live.add(group)
      try {
        for (const dir of new Set(Object.values(dirs))) {
          mkdirSync(dir)
          made.push(dir)
        }
        setLimits(dirs, site.limits, limits)
      } catch (error) {
        // What is not removed now has no process in it, and goes with the next reaping.
        await removeDirs(made, clock).catch(() => {})
        live.delete(group)
        throw faultOf(error)
      }
      return makeGroup(dirs, clock, () => live.delete(group))
    },

    async reap() {
      const homes = await findNamed(name, topsOf(mounts))
      const groups = (await Promise.all(homes.map(listDirs)))
        .flat()
        .filter((group) => !live.has(basename(group)))
      // Together: what one tree holds frozen only dies when that is thawed.
      await kill(groups, clock)
      await removeDirs([...groups, ...homes.filter((home) => !parents.has(home))], clock)
    },

    async [Symbol.asyncDispose]() {
      await removeDirs([...parents], clock)
    },
  }
}

/**
 * Moves this process to where it is. The first move after a while waits until every CPU has passed by (10 ms), those
 * soon after it do not: so a start begins with one that changes nothing, while the rest of it is prepared.
 */
async function stay(mounts: Mounts, proc: string): Promise<void> {
  const [dir] = Object.values(groupOf('self', mounts, proc))
  if (dir !== undefined) await writeFile(join(dir, 'cgroup.procs'), String(process.pid), { flag: 'r+' })
}

function makeGroup(dirs: GroupDirs, clock: Clock, removed: () => void): Cgroup {
  const all = [...new Set(Object.values(dirs))]
  const counters = countersOf(dirs)
  let disposed: Promise<void> | undefined

  const dispose = async () => {
    await kill(all, clock)
    counters.oomKills()
    await removeDirs(all, clock)
    removed()
  }

  return {
    ...counters,
    async add(pid) {
      try {
        // The first one may have to wait for every CPU, and this process has other things to do.
        for (const [index, dir] of all.entries())
          await (index === 0 ? writeFile : writeFileSync)(join(dir, 'cgroup.procs'), String(pid))
      } catch (error) {
        throw new DriverError('unavailable', `cannot move process ${pid} to its group: ${messageOf(error)}`, {
          cause: error,
        })
      }
    },
    freeze: () => freeze(all, clock),
    thaw: async () => thaw(all),
    kill: () => kill(all, clock),
    [Symbol.asyncDispose]() {
      disposed ??= dispose().catch((error) => {
        disposed = undefined // the next try may do better
        throw error
      })
      return disposed
    },
  }
}

function countersOf(dirs: GroupDirs): GroupCounters {
  let kills = 0
  return {
    oomKills() {
      kills = readOomKills(dirs) ?? kills
      return kills
    },
    sample: () => readSample(dirs),
    peak: () => readPeak(dirs),
  }
}

const mapDirs = (dirs: GroupDirs, map: (dir: string) => string): GroupDirs =>
  Object.fromEntries(Object.entries(dirs).map(([tree, dir]) => [tree, map(dir)]))

function faultOf(error: unknown): DriverError {
  const full = ['ENOSPC', 'ENOMEM', 'EAGAIN'].includes((error as NodeJS.ErrnoException).code ?? '')
  return new DriverError(full ? 'no-room' : 'unavailable', `cannot make a group: ${messageOf(error)}`, {
    cause: error,
  })
}

/** A predecessor may have run in another session, so its groups may be anywhere. */
async function findNamed(name: string, tops: readonly string[]): Promise<string[]> {
  const found: string[] = []
  const left = [...tops]
  for (let dir = left.pop(); dir !== undefined; dir = left.pop())
    for (const child of await listDirs(dir)) (basename(child) === name ? found : left).push(child)
  return found
}

/** None where the directory went away or is not ours to read. */
async function listDirs(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name))
}
