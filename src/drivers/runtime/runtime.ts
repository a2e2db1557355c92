import { chmod, mkdir, mkdtemp, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isThere, makeFolder } from '../../host/folder.ts'
import { digestFile, openMemory } from './memory.ts'
import { listParts, type PartsOptions, writePart } from './parts.ts'
import { versionOf } from './version.ts'

/** The root file system that bundles run on, FROM scratch: Node, its libraries, a shell and the bootstrap. */
export interface Runtime {
  /** The first 16 hex digits of a digest of everything in it. */
  readonly version: string
  /** `<dir>/<version>/rootfs`: owned by us, readable by all, writable by nobody else. */
  readonly dir: string
  /** Inside. */
  readonly node: '/bin/node'
  /** Inside. */
  readonly bootstrap: '/sluice/fdk/bootstrap.cjs'
  /** There is a `/bin/sh`, busybox's. Without a busybox on the machine there is none. */
  readonly shell: boolean
}

export interface RuntimeOptions extends PartsOptions {
  /** Folder that holds one folder a version. */
  readonly dir: string
  readonly signal?: AbortSignal
  /** Called with a few words before each step that takes time. */
  readonly onStep?: (step: string) => void
}

/** What is kept beside the newest: a node that is being replaced still runs on it. */
const KEPT = 2

/**
 * Makes the base runtime, or finds it made: the same parts always make the same version.
 * Several builds at once in one folder are fine, and kill -9 leaves nothing that a later one would trust.
 */
export async function buildRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { dir, signal, onStep = () => {} } = options
  await mkdir(dir, { recursive: true })
  await chmod(dir, 0o711) // containers of other users pass through
  const memory = await openMemory(join(dir, 'digests.json'))
  const parts = await listParts(options, memory)
  let announced = false
  const version = await versionOf(parts, (file) =>
    memory.recall('sha256', file, () => {
      if (!announced) onStep('reading what goes into the runtime')
      announced = true
      return digestFile(file, signal)
    }),
  )
  await memory.save()
  const target = join(dir, version)
  if (!(await isThere(target))) onStep('copying Node and its libraries')
  await makeFolder(target, async (half) => {
    const root = join(half, 'rootfs')
    for (const part of parts) {
      signal?.throwIfAborted()
      await writePart(root, part)
    }
    await chmod(half, 0o711)
  })
  await markUsed(target)
  await removeOld(dir, version)
  return {
    version,
    dir: join(target, 'rootfs'),
    node: '/bin/node',
    bootstrap: '/sluice/fdk/bootstrap.cjs',
    shell: parts.some(({ path }) => path === 'bin/sh'),
  }
}

/** Its folder's time is that of its last use. */
async function markUsed(target: string): Promise<void> {
  await rmdir(await mkdtemp(join(target, '.used-')))
}

async function removeOld(dir: string, current: string): Promise<void> {
  const names = (await readdir(dir)).filter((name) => /^[0-9a-f]{16}$/.test(name) && name !== current)
  const aged = await Promise.all(
    names.map(async (name) => ({ name, used: (await stat(join(dir, name))).mtimeMs })),
  )
  aged.sort((a, b) => b.used - a.used)
  for (const { name } of aged.slice(KEPT - 1)) await rm(join(dir, name), { recursive: true, force: true })
}
