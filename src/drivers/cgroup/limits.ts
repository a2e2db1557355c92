import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GroupDirs } from '../../host/hierarchies.ts'

export const GROUP_LIMITS = ['memory', 'cpu', 'pids'] as const
export type GroupLimit = (typeof GROUP_LIMITS)[number]

/** 0 = no limit. */
export interface GroupLimits {
  /** Bytes, swap included. */
  readonly memory: number
  readonly cpus: number
  /** 2–262144. */
  readonly cpuShares?: number | undefined
  readonly pids: number
}

interface Setting {
  readonly path: string
  readonly value: string
  /** Errors that are no failure. Any other is thrown. */
  readonly may?: readonly string[]
}

/** Writes the limits that a group enforces. @throws the file system's error */
export function setLimits(dirs: GroupDirs, enforced: readonly GroupLimit[], limits: GroupLimits): void {
  const all = [...memorySettings(dirs, limits), ...cpuSettings(dirs, limits), ...pidsSettings(dirs, limits)]
  for (const { limit, path, value, may = [] } of all) {
    if (!enforced.includes(limit)) continue
    try {
      writeFileSync(path, value)
    } catch (error) {
      if (!may.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}

/** A file that a kernel or its configuration may lack. In these file systems, making one is refused. */
const ABSENT = ['ENOENT', 'EACCES', 'EPERM']

type LimitSetting = Setting & { readonly limit: GroupLimit }

function* memorySettings(
  { memory: v1, unified }: GroupDirs,
  { memory }: GroupLimits,
): Generator<LimitSetting> {
  const limit = 'memory'
  if (!v1 && unified) {
    // All of a function or nothing: half of one hangs.
    yield { limit, path: join(unified, 'memory.oom.group'), value: '1', may: ABSENT }
    if (memory === 0) return
    yield { limit, path: join(unified, 'memory.max'), value: String(memory) }
    yield { limit, path: join(unified, 'memory.swap.max'), value: '0', may: ABSENT }
  } else if (v1 && memory > 0) {
    // The second counts swap too and must not be below the first.
    yield { limit, path: join(v1, 'memory.limit_in_bytes'), value: String(memory) }
    yield { limit, path: join(v1, 'memory.memsw.limit_in_bytes'), value: String(memory), may: ABSENT }
    // v1 counts what TCP keeps apart.
    yield { limit, path: join(v1, 'memory.kmem.tcp.limit_in_bytes'), value: String(memory), may: ABSENT }
  }
}

/** Microseconds. */
const PERIOD = 100_000

/** The least that the kernel takes. */
const LEAST_QUOTA = 1_000

function* cpuSettings({ cpu: v1, unified }: GroupDirs, limits: GroupLimits): Generator<LimitSetting> {
  const limit = 'cpu'
  const { cpus, cpuShares } = limits
  const quota = Math.max(LEAST_QUOTA, Math.round(cpus * PERIOD))
  if (v1) {
    if (cpus > 0) {
      yield { limit, path: join(v1, 'cpu.cfs_period_us'), value: String(PERIOD) }
      // EINVAL: more than the group around it may use, which then is the limit.
      yield { limit, path: join(v1, 'cpu.cfs_quota_us'), value: String(quota), may: ['EINVAL'] }
    }
    if (cpuShares !== undefined) yield { limit, path: join(v1, 'cpu.shares'), value: String(cpuShares) }
  } else if (unified) {
    if (cpus > 0) yield { limit, path: join(unified, 'cpu.max'), value: `${quota} ${PERIOD}` }
    if (cpuShares !== undefined)
      yield { limit, path: join(unified, 'cpu.weight'), value: String(weightOf(cpuShares)) }
  }
}

function* pidsSettings({ pids: v1, unified }: GroupDirs, { pids }: GroupLimits): Generator<LimitSetting> {
  const dir = v1 ?? unified
  if (dir && pids > 0) yield { limit: 'pids', path: join(dir, 'pids.max'), value: String(pids) }
}

/** 2–262144 (v1) → 1–10000 (v2), as every container runtime maps it. */
function weightOf(shares: number): number {
  return 1 + Math.floor(((shares - 2) * 9_999) / 262_142)
}
