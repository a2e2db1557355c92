import { readFileSync } from 'node:fs'
import { type IoFolder, openIo } from '../io.ts'

/**
 * Whether a process of this machine is a container's: the engine may count processes otherwise than this machine
 * does, and then another one has that pid here.
 */
export function isProcessOf(id: string, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'latin1').includes(id)
  } catch {
    return false
  }
}

/**
 * The folder of a container's socket, by way of its first process; `undefined` when that is gone, or is not to be
 * seen here.
 * @throws DriverError `unavailable` when this process may not look into it
 */
export function openIoOf(id: string, pid: number): IoFolder | undefined {
  const io = openIo(pid)
  // Asked afterwards: then nobody else had the pid when it was opened.
  if (!io || isProcessOf(id, pid)) return io
  io[Symbol.dispose]()
  return undefined
}
