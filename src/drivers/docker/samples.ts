import { createInterface } from 'node:readline'
import type { Clock } from '../../core/clock.ts'
import { type GroupCounters, readCgroup } from '../cgroup/cgroup.ts'
import type { Stat } from '../driver.ts'
import { Measurements, measure } from '../measurements.ts'
import { meter } from '../meter.ts'
import { api } from './api.ts'
import type { Engine } from './engine.ts'
import { isProcessOf } from './processes.ts'

export interface SampleOptions {
  readonly engine: Engine
  readonly id: string
  /** It has a network of its own: the machine's would be everybody's. */
  readonly ownNetwork: boolean
  readonly clock: Clock
  readonly ended: Promise<unknown>
}

/** The container's own counters, where the engine runs on this machine and shows processes as this one sees them. */
export function findCounters(id: string, pid: number): GroupCounters | undefined {
  try {
    return isProcessOf(id, pid) ? readCgroup(pid) : undefined
  } catch {
    return undefined
  }
}

/** Samples from the machine's own files: far cheaper than asking the engine. */
export function sampleLocally(
  options: SampleOptions & {
    readonly group: GroupCounters
    readonly pid: number
    readonly startedAt: number
  },
): Measurements {
  const { clock, ended, group } = options
  const read = meter(options)
  return measure({
    clock,
    ended,
    read: () => {
      group.oomKills() // what was read last is what is known once the group is gone
      return read()
    },
  })
}

/** Samples from one stream of the engine's, about one a second. Without it there are none: no call fails for that. */
export function sampleRemotely({ engine, id, ownNetwork, ended }: SampleOptions): Measurements {
  const measurements = new Measurements()
  const over = new AbortController()
  void ended.then(() => over.abort())
  const run = async () => {
    const options = { idempotent: true, signal: over.signal }
    const stream = await engine.ask('measure the container', api.stats(id), options)
    over.signal.addEventListener('abort', () => stream.destroy(), { once: true })
    stream.on('error', () => {})
    const convert = converter(ownNetwork)
    for await (const line of createInterface(stream)) {
      const stat = convert(JSON.parse(line))
      if (stat) measurements.add(stat)
    }
  }
  void run()
    .catch(() => {})
    .finally(() => measurements.end())
  return measurements
}

/** A line of an engine's stream, as far as it is used. */
export interface EngineStats {
  readonly read: string
  readonly cpu_stats?: {
    readonly cpu_usage?: {
      readonly total_usage?: number
      readonly usage_in_usermode?: number
      readonly usage_in_kernelmode?: number
    }
  }
  readonly memory_stats?: { readonly usage?: number; readonly limit?: number }
  readonly networks?: Readonly<
    Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>
  > | null
  readonly blkio_stats?: {
    readonly io_service_bytes_recursive?: readonly { readonly op: string; readonly value: number }[] | null
  }
}

/**
 * Makes samples of lines, in their order. Memory counts the page cache, as the kernel's own number does (the
 * `docker stats` command takes it off). `undefined` for a line about a container that does not run.
 */
export function converter(ownNetwork: boolean): (line: EngineStats) => Stat | undefined {
  let before: { readonly at: number; readonly used: number } | undefined
  return ({ read, cpu_stats, memory_stats, networks, blkio_stats }) => {
    const timestamp = new Date(read)
    const at = timestamp.getTime()
    const { usage, limit } = memory_stats ?? {}
    if (usage === undefined || !(at > 0)) return undefined
    const { total_usage = 0, usage_in_usermode = 0, usage_in_kernelmode = 0 } = cpu_stats?.cpu_usage ?? {}
    const elapsed = before ? at - before.at : 0
    const cpu_total = before && elapsed > 0 ? ((total_usage - before.used) / 1e6 / elapsed) * 100 : 0
    before = { at, used: total_usage }
    const interfaces = Object.values(networks ?? {})
    const disk = (op: string) =>
      sum(
        (blkio_stats?.io_service_bytes_recursive ?? []).filter((row) => row.op.toLowerCase() === op),
        'value',
      )
    return {
      timestamp,
      metrics: {
        ...(ownNetwork && { net_rx: sum(interfaces, 'rx_bytes'), net_tx: sum(interfaces, 'tx_bytes') }),
        mem_limit: limit ?? 0,
        mem_usage: usage,
        disk_read: disk('read'),
        disk_write: disk('write'),
        cpu_user: usage_in_usermode,
        cpu_kernel: usage_in_kernelmode,
        cpu_total: Math.max(0, cpu_total),
      },
    }
  }
}

const sum = <K extends string>(rows: readonly { readonly [key in K]: number }[], key: K): number =>
  rows.reduce((total, row) => total + row[key], 0)
