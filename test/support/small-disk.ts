import { spawnSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tempDir } from './temp.ts'

export interface SmallDisk extends AsyncDisposable {
  readonly path: string
  /** Takes all room that is left. */
  fill(): Promise<void>
  /** Gives it back. */
  free(): Promise<void>
  makeReadOnly(): void
}

/** A file system of a few bytes; `undefined` where none can be mounted. @param size as mount takes it */
export async function smallDisk(size: string): Promise<SmallDisk | undefined> {
  const dir = await tempDir()
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', dir.path])
  if (mounted.status !== 0) {
    await dir[Symbol.asyncDispose]()
    return undefined
  }
  const filler = join(dir.path, 'filler')
  return {
    path: dir.path,
    async fill() {
      // What fits of it stays.
      await writeFile(filler, Buffer.alloc(16 * 1_048_576)).catch(() => {})
    },
    free: () => rm(filler),
    makeReadOnly() {
      const { status, stderr } = spawnSync('mount', ['-o', 'remount,ro', dir.path])
      if (status !== 0) throw new Error(String(stderr))
    },
    async [Symbol.asyncDispose]() {
      spawnSync('umount', ['-l', dir.path])
      await dir[Symbol.asyncDispose]()
    },
  }
}
