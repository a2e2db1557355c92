import { execFile } from 'node:child_process'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '../../core/errors.ts'
import { isThere } from '../../host/folder.ts'
import { DriverError } from '../driver.ts'
import type { Memory } from './memory.ts'

/** A shared object: where it belongs in the runtime, and the file of this machine. */
export interface Library {
  readonly path: string
  readonly from: string
}

/** Loaded by name when a host is looked up; of a C library that has them built in, they are absent or empty. */
const RESOLVER = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']

/** Network interfaces are left out of the report since they are looked up in the DNS for it. */
const REPORT =
  'process.report.excludeNetwork = true; JSON.stringify(process.report.getReport().sharedObjects)'

/**
 * What a Node binary is linked to, as that Node reports it: exactly what the loader took, wherever it found it.
 * All of it goes beside the C library, where a loader without a cache looks; the loader itself stays at its path,
 * which is written in the binary.
 * @throws DriverError `unavailable` when the binary does not run
 */
export async function findLibraries(node: string, memory: Memory): Promise<Library[]> {
  const objects: string[] = JSON.parse(await memory.recall('libraries', node, () => askNode(node)))
  const files = objects.filter((path) => path.startsWith('/') && /\.so(\.|$)/.test(basename(path)))
  const loader = files.find((path) => /^ld[-\d]/.test(basename(path)))
  if (loader === undefined) return [] // a static binary
  const home = dirname(files.find((path) => basename(path).startsWith('libc.so')) ?? loader)
  const others = files.filter((path) => path !== loader)
  for (const name of RESOLVER) {
    const path = join(home, name)
    if (!others.includes(path) && (await isThere(path))) others.push(path)
  }
  const placed = others.map((from) => ({ path: inside(join(home, basename(from))), from }))
  return [{ path: inside(loader), from: loader }, ...placed].sort((a, b) => (a.path < b.path ? -1 : 1))
}

const inside = (path: string) => path.slice(1)

async function askNode(node: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(node, ['-p', REPORT], { env: {}, timeout: 30_000 })
    return stdout
  } catch (error) {
    throw new DriverError(
      'unavailable',
      `the base runtime cannot be built: ${node} does not run: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}
