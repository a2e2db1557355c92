import { readdirSync, readFileSync } from 'node:fs'
import { type Clock, sleep } from '../core/clock.ts'

/** A process as Linux shows it. `startTime` (clock ticks since boot) tells a pid from its next user. */
export interface ProcessStat {
  readonly pid: number
  readonly zombie: boolean
  readonly stopped: boolean
  readonly parent: number
  readonly group: number
  readonly session: number
  /** CPU time in clock ticks, 100 a second, with that of children that have ended and were waited for. */
  readonly userTicks: number
  readonly kernelTicks: number
  readonly startTime: number
}

/** `undefined` when there is no such process, or no /proc (macOS). */
export function readStat(pid: number): ProcessStat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The second field is the program's name in brackets and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3])
  return {
    pid,
    zombie: fields[0] === 'Z',
    stopped: fields[0] === 'T',
    parent: field(4),
    group: field(5),
    session: field(6),
    userTicks: field(14) + field(16),
    kernelTicks: field(15) + field(17),
    startTime: field(22),
  }
}

/**
 * Kills the process that leads a group and all that it started: its group, its session, its descendants.
 * What moved to a session of its own and whose parent has died is found by {@link killBearers} at the most.
 * @returns whether there was anything to kill
 */
export function killTree(leader: number): boolean {
  const members = family(leader)
  for (const pid of members ?? []) signal(pid, 'SIGKILL')
  const signalled = signalGroup(leader, 'SIGKILL')
  return members ? members.length > 0 : signalled
}

/**
 * Kills what has a container's folder in the environment that it was started with: a daemon that left its family
 * behind has that still, unless it cleared it.
 * @returns whether there was anything to kill
 */
export function killBearers(dir: string): boolean {
  const bearers = processIds().filter((pid) => pid !== process.pid && environOf(pid).includes(`${dir}/`))
  for (const pid of bearers) signal(pid, 'SIGKILL')
  return bearers.length > 0
}

/** Empty of one that has ended or is somebody else's. */
function environOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}

/** Whether the group has anybody to signal. */
export function signalGroup(leader: number, name: NodeJS.Signals): boolean {
  return signal(-leader, name)
}

/** Repeats `kill` until it finds nothing, for two seconds at the most. */
export async function untilGone(kill: () => boolean, clock: Clock): Promise<void> {
  const end = clock.now() + 2_000
  while (kill() && clock.now() < end) await sleep(clock, 5)
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/**
 * The processes that {@link killTree} kills; `undefined` without /proc.
 * Zombies do not count: they hold nothing, and who should reap them may never do so.
 */
export function family(
  leader: number,
  all: readonly ProcessStat[] | undefined = listProcesses(),
): number[] | undefined {
  if (!all) return undefined
  const found = new Set([leader])
  for (let size = 0; size < found.size; ) {
    size = found.size
    for (const { pid, parent, group, session } of all)
      if (found.has(parent) || group === leader || session === leader) found.add(pid)
  }
  return all.filter(({ pid, zombie }) => found.has(pid) && !zombie).map(({ pid }) => pid)
}

/** All of this machine; `undefined` without /proc. */
export function listProcesses(): ProcessStat[] | undefined {
  const pids = processIds()
  if (pids.length === 0) return undefined
  return pids.map(readStat).filter((stat) => stat !== undefined)
}

/** None without /proc. */
function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}
