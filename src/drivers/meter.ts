import { readFileSync } from 'node:fs'
import type { Clock } from '../core/clock.ts'
import type { Cgroup } from './cgroup/cgroup.ts'
import type { Stat } from './driver.ts'

export interface MeterOptions {
  readonly group: Pick<Cgroup, 'sample' | 'peak'>
  /** The container's first process. */
  readonly pid: number
  /** It has a network of its own: the machine's would be everybody's. */
  readonly ownNetwork: boolean
  readonly clock: Clock
  /** When it began, on the clock. */
  readonly startedAt: number
}

/** `last`: of one whose processes have ended; then its memory is the most that it ever had. */
export type Meter = (last?: 'last') => Stat['metrics'] | undefined

/** Reads a container's metrics, each time with the CPU it used since the time before; `undefined` once it is gone. */
export function meter(options: MeterOptions): Meter {
  const { group, pid, ownNetwork, clock } = options
  let at = options.startedAt
  let used = 0
  let network: ReturnType<typeof readNetwork>
  return (last) => {
    const sample = group.sample()
    // Its network goes with its processes: at the end it is as it was seen last.
    if (ownNetwork) network = readNetwork(pid) ?? (last && network)
    if (!sample || (ownNetwork && !network)) return undefined
    const mem_usage = Math.max(sample['mem_usage'] ?? 0, (last && group.peak()) ?? 0)
    const now = clock.now()
    const usedNow = (sample['cpu_user'] ?? 0) + (sample['cpu_kernel'] ?? 0)
    const cpu_total = now > at ? ((usedNow - used) / 1e6 / (now - at)) * 100 : 0
    at = now
    used = usedNow
    return { ...sample, ...(mem_usage > 0 && { mem_usage }), ...network, cpu_total }
  }
}

/** Bytes over all interfaces but the loopback, as seen by a process. */
function readNetwork(pid: number): { net_rx: number; net_tx: number } | undefined {
  try {
    return parseNetwork(readFileSync(`/proc/${pid}/net/dev`, 'latin1'))
  } catch {
    return undefined
  }
}

export function parseNetwork(text: string): { net_rx: number; net_tx: number } {
  const rows = [...text.matchAll(/^\s*([^\s:]+):\s*(.*)$/gm)].filter(([, name]) => name !== 'lo')
  const sum = (column: number) =>
    rows.reduce((sum, [, , counts]) => sum + Number(counts?.split(/\s+/)[column] ?? 0), 0)
  return { net_rx: sum(0), net_tx: sum(8) }
}
