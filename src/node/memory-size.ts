import { readFileSync } from 'node:fs'

/** Values beyond this are how a kernel says "no limit". */
const UNLIMITED = 2 ** 60

/** What the machine leaves to a function node when nobody says otherwise: in bytes. */
export interface MemorySources {
  /** The text of a file, or undefined when it cannot be read. */
  readonly read: (path: string) => string | undefined
}

/**
 * Bytes that containers may be promised: the smallest of the cgroup's limit (v2, v1) and what is available now,
 * less a tenth for the node itself.
 */
export function memorySize({ read }: MemorySources = { read: readText }): number {
  const limits = [
    number(read('/sys/fs/cgroup/memory.max')),
    number(read('/sys/fs/cgroup/memory/memory.limit_in_bytes')),
    available(read('/proc/meminfo')),
  ].filter((bytes): bytes is number => bytes !== undefined && bytes < UNLIMITED)
  const least = limits.length > 0 ? Math.min(...limits) : 2 * 1024 ** 3
  return Math.floor(least * 0.9)
}

function number(text: string | undefined): number | undefined {
  const bytes = Number(text?.trim())
  return Number.isFinite(bytes) && bytes > 0 ? bytes : undefined
}

function available(meminfo: string | undefined): number | undefined {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo ?? '')?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
