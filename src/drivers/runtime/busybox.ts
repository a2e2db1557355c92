import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { isThere } from '../../host/folder.ts'
import { DriverError } from '../driver.ts'
import type { Memory } from './memory.ts'

const PLACES = ['/bin/busybox', '/usr/bin/busybox', '/usr/local/bin/busybox']

/**
 * The busybox that was named, or else the machine's, if it has one that needs no libraries.
 * @throws DriverError `unavailable` when one was named that does not do
 */
export async function findBusybox(named?: string): Promise<string | undefined> {
  if (named === undefined) {
    for (const place of PLACES) if (await isStatic(place)) return place
    return undefined
  }
  if (await isStatic(named)) return named
  const problem = (await isThere(named)) ? 'needs shared libraries: install busybox-static' : 'is not there'
  throw new DriverError('unavailable', `the base runtime cannot be built: ${named} ${problem}`)
}

/** The names of its commands. */
export async function findApplets(busybox: string, memory: Memory): Promise<string[]> {
  const text = await memory.recall('applets', busybox, async () => {
    const { stdout } = await promisify(execFile)(busybox, ['--list'], { env: {}, timeout: 10_000 })
    return stdout
  })
  const names = text.split('\n').filter((name) => /^[A-Za-z0-9[][A-Za-z0-9_.[-]*$/.test(name))
  return names.filter((name) => name !== 'busybox' && name !== 'node').sort()
}

const INTERPRETER = 3 // PT_INTERP: a dynamic program names its loader

/** A 64-bit ELF program without a loader. */
async function isStatic(file: string): Promise<boolean> {
  const handle = await open(file).catch(() => undefined)
  if (!handle) return false
  try {
    const { buffer } = await handle.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, 0)
    if (buffer.readUInt32BE(0) !== 0x7f454c46 || buffer[4] !== 2 || buffer[5] !== 1) return false
    const [start, size, count] = [
      Number(buffer.readBigUInt64LE(32)),
      buffer.readUInt16LE(54),
      buffer.readUInt16LE(56),
    ]
    const types = Array.from({ length: count }, (_, at) => buffer.readUInt32LE(start + at * size))
    return !types.includes(INTERPRETER)
  } catch {
    return false // its header points outside of what was read
  } finally {
    await handle.close()
  }
}
