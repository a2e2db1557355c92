import { readFileSync } from 'node:fs'
import type { Clock } from '../../core/clock.ts'
import type { Metric, Stat } from '../driver.ts'
import { family, listProcesses, readStat } from '../tree.ts'

/** What can be measured of processes here: on Linux all that they are asked for, elsewhere nothing. */
export function measurable(): readonly Metric[] {
  return read(process.pid, 'io') === undefined
    ? []
    : ['cpu_kernel', 'cpu_total', 'cpu_user', 'disk_read', 'disk_write', 'mem_usage']
}

/** Reads what the family of a process uses; `undefined` once there is nobody. Sums never fall. */
export function usageOf(leader: number | undefined, clock: Clock): () => Stat['metrics'] | undefined {
  let before: (Totals & { readonly at: number }) | undefined
  return () => {
    const members = leader === undefined ? [] : (family(leader, recentProcesses(clock)) ?? [])
    const used = members.map(usageOfProcess).filter((usage) => usage !== undefined)
    if (used.length === 0) return undefined
    const sum = (name: keyof Usage) => used.reduce((sum, usage) => sum + usage[name], 0)
    const total = (name: keyof Totals) => Math.max(before?.[name] ?? 0, sum(name))
    const next = {
      at: clock.now(),
      cpu_user: total('cpu_user'),
      cpu_kernel: total('cpu_kernel'),
      disk_read: total('disk_read'),
      disk_write: total('disk_write'),
    }
    const cpu_total = before && next.at > before.at ? share(before, next) : 0
    before = next
    const { at, ...totals } = next
    return { ...totals, cpu_total, mem_usage: sum('mem_usage') }
  }
}

const RECENT = 500

const tables = new WeakMap<Clock, { readonly at: number; readonly all: ReturnType<typeof listProcesses> }>()

/** One look at all of the machine's processes serves every container that is measured in the next half second. */
function recentProcesses(clock: Clock): ReturnType<typeof listProcesses> {
  const at = clock.now()
  const known = tables.get(clock)
  if (known && at - known.at < RECENT) return known.all
  const all = listProcesses()
  tables.set(clock, { at, all })
  return all
}

/** Percent of one CPU. */
function share(before: Totals & { at: number }, now: Totals & { at: number }): number {
  const spent = now.cpu_user + now.cpu_kernel - before.cpu_user - before.cpu_kernel
  return (spent / ((now.at - before.at) * NANOS_PER_MS)) * 100
}

interface Totals {
  readonly cpu_user: number
  readonly cpu_kernel: number
  readonly disk_read: number
  readonly disk_write: number
}

interface Usage extends Totals {
  readonly mem_usage: number
}

const NANOS_PER_MS = 1e6
/** Linux counts 100 ticks a second for programs, whatever it uses itself. */
const NANOS_PER_TICK = 1e7

function usageOfProcess(pid: number): Usage | undefined {
  const stat = readStat(pid)
  const io = read(pid, 'io')
  const status = read(pid, 'status')
  if (!stat || stat.zombie || io === undefined || status === undefined) return undefined
  const number = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return {
    cpu_user: stat.userTicks * NANOS_PER_TICK,
    cpu_kernel: stat.kernelTicks * NANOS_PER_TICK,
    disk_read: number(io, 'read_bytes'),
    disk_write: number(io, 'write_bytes'),
    mem_usage: number(status, 'VmRSS') * 1024,
  }
}

/** `undefined` when there is no such process, or it is not ours to see. */
function read(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return undefined
  }
}
