import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import type { GroupDirs } from '../../host/hierarchies.ts'

/** `undefined` when the group has gone, or the kernel does not count (before 4.13). */
export function readOomKills(dirs: GroupDirs): number | undefined {
  const text = dirs.memory ? read(dirs.memory, 'memory.oom_control') : read(dirs.unified, 'memory.events')
  // A group that dies as one counts its processes as `oom_kill`, that which was chosen first even twice.
  return field(text, 'oom_group_kill') || field(text, 'oom_kill')
}

/** Bytes, and nanoseconds of CPU, since the group was made; `undefined` when there is nothing to read. */
export function readSample(dirs: GroupDirs): Record<string, number> | undefined {
  const metrics = Object.entries({ ...readMemory(dirs), ...readDisk(dirs), ...readCpu(dirs) })
  const known = metrics.filter((entry): entry is [string, number] => entry[1] !== undefined)
  return known.length === 0 ? undefined : Object.fromEntries(known)
}

/** Bytes; `undefined` when the group has gone, or the kernel does not tell. */
export const readPeak = ({ memory, unified }: GroupDirs): number | undefined =>
  number(memory ? read(memory, 'memory.max_usage_in_bytes') : read(unified, 'memory.peak'))

type Metrics = Record<string, number | undefined>

function readMemory({ memory, unified }: GroupDirs): Metrics {
  const [limit, usage] = memory
    ? [read(memory, 'memory.limit_in_bytes'), read(memory, 'memory.usage_in_bytes')]
    : [read(unified, 'memory.max'), read(unified, 'memory.current')]
  // No limit is a huge number in v1 and `max` in v2; what is left is the machine's.
  const bytes = limit?.trim() === 'max' ? Number.POSITIVE_INFINITY : number(limit)
  return {
    mem_limit: bytes === undefined ? undefined : Math.min(bytes, totalmem()),
    mem_usage: number(usage),
  }
}

function readDisk({ blkio, unified }: GroupDirs): Metrics {
  if (!blkio) {
    const text = read(unified, 'io.stat')
    return { disk_read: sum(text, /\brbytes=(\d+)/g), disk_write: sum(text, /\bwbytes=(\d+)/g) }
  }
  const text =
    read(blkio, 'blkio.throttle.io_service_bytes_recursive') ?? read(blkio, 'blkio.throttle.io_service_bytes')
  return { disk_read: sum(text, / Read (\d+)/g), disk_write: sum(text, / Write (\d+)/g) }
}

function readCpu({ cpuacct, unified }: GroupDirs): Metrics {
  if (!cpuacct) {
    const text = read(unified, 'cpu.stat')
    return {
      cpu_user: times(field(text, 'user_usec'), 1e3),
      cpu_kernel: times(field(text, 'system_usec'), 1e3),
    }
  }
  const [user, kernel] = [read(cpuacct, 'cpuacct.usage_user'), read(cpuacct, 'cpuacct.usage_sys')]
  if (user && kernel) return { cpu_user: number(user), cpu_kernel: number(kernel) }
  // In ticks of user space, which are a hundredth of a second on every architecture that we have.
  const ticks = read(cpuacct, 'cpuacct.stat')
  return { cpu_user: times(field(ticks, 'user'), 1e7), cpu_kernel: times(field(ticks, 'system'), 1e7) }
}

/** `undefined` for a file that is not there, or no more. */
function read(dir: string | undefined, name: string): string | undefined {
  if (dir === undefined) return undefined
  try {
    return readFileSync(join(dir, name), 'latin1')
  } catch {
    return undefined
  }
}

const number = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined

/** The value on the line that begins with `name`. */
function field(text: string | undefined, name: string): number | undefined {
  const line = text?.split('\n').find((line) => line.startsWith(`${name} `))
  return number(line?.slice(name.length + 1))
}

const times = (value: number | undefined, factor: number): number | undefined =>
  value === undefined ? undefined : value * factor

/** Of all devices. */
function sum(text: string | undefined, pattern: RegExp): number | undefined {
  if (text === undefined) return undefined
  return [...text.matchAll(pattern)].reduce((total, [, bytes]) => total + Number(bytes), 0)
}
