import { readFileSync, writeFileSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, sleep } from '../../core/clock.ts'
import { DriverError } from '../driver.ts'

/*
 * What can be done to the processes in a set of directories, by the files that these have: one group's in several
 * trees, or several groups'.
 */

/** Milliseconds. */
const LIMIT = 5_000
const POLL = 5

/** Those that a signal can reach: one of a pid namespace beside this one is listed as 0. */
export function processesIn(dirs: readonly string[]): number[] {
  const pids = dirs.flatMap((dir) => read(join(dir, 'cgroup.procs'))?.split('\n') ?? [])
  return [...new Set(pids.map(Number))].filter((pid) => pid > 0)
}

/** @throws DriverError `unavailable` when it does not come to a halt within 5 s; then it runs on */
export async function freeze(dirs: readonly string[], clock: Clock): Promise<void> {
  setFrozen(dirs, true)
  const halted = await poll(() => !dirs.some(isFreezing), clock)
  if (halted) return
  setFrozen(dirs, false)
  throw new DriverError('unavailable', `a group did not come to a halt within ${LIMIT / 1_000} s`)
}

export function thaw(dirs: readonly string[]): void {
  setFrozen(dirs, false)
}

/**
 * Ends everything in `dirs`, also what is frozen and what forks.
 * @throws DriverError `unavailable` when something is left after 5 s
 */
export async function kill(dirs: readonly string[], clock: Clock): Promise<void> {
  const empty = await poll(() => {
    killOnce(dirs)
    return processesIn(dirs).length === 0
  }, clock)
  if (!empty) throw new DriverError('unavailable', `a group was not empty ${LIMIT / 1_000} s after its kill`)
}

/** Removes empty groups. The kernel calls one busy for a moment after its last process has gone. */
export async function removeDirs(dirs: readonly string[], clock: Clock): Promise<void> {
  const end = clock.now() + LIMIT
  for (const dir of new Set(dirs))
    while (!(await removeDir(dir))) {
      if (clock.now() >= end) throw new DriverError('unavailable', `cannot remove the group ${dir}: busy`)
      await sleep(clock, POLL)
    }
}

/** @returns whether it is gone */
async function removeDir(dir: string): Promise<boolean> {
  try {
    await rmdir(dir)
    return true
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    if (code === 'EBUSY') return false
    throw new DriverError('unavailable', `cannot remove a group: ${message}`, { cause: error })
  }
}

function killOnce(dirs: readonly string[]): void {
  const atOnce = dirs.filter((dir) => write(join(dir, 'cgroup.kill'), '1'))
  // What is held cannot fork away from the list of those to signal. With v1 it dies when it is let go.
  if (atOnce.length === 0) setFrozen(dirs, true)
  for (const pid of processesIn(dirs)) signal(pid)
  setFrozen(dirs, false)
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone, or is not ours to kill: then the group does not become empty, and that is said.
  }
}

/** By one of the two freezers: what v1 holds never reports to v2 that it has halted. */
function setFrozen(dirs: readonly string[], frozen: boolean): void {
  const v1 = dirs.map((dir) => write(join(dir, 'freezer.state'), frozen ? 'FROZEN' : 'THAWED'))
  if (frozen && v1.includes(true)) return
  for (const dir of dirs) write(join(dir, 'cgroup.freeze'), frozen ? '1' : '0')
}

/** Still on the way, unless it was let go or removed meanwhile. */
function isFreezing(dir: string): boolean {
  if (read(join(dir, 'freezer.state'))?.trim() === 'FREEZING') return true
  return (
    read(join(dir, 'cgroup.freeze'))?.trim() === '1' &&
    !read(join(dir, 'cgroup.events'))?.includes('frozen 1')
  )
}

/** @returns whether `done` was, within the limit */
async function poll(done: () => boolean, clock: Clock): Promise<boolean> {
  const end = clock.now() + LIMIT
  while (!done()) {
    if (clock.now() >= end) return false
    await sleep(clock, POLL)
  }
  return true
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

/** @returns whether there is such a file */
function write(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'r+' })
    return true
  } catch {
    return false
  }
}
