import { randomUUID } from 'node:crypto'
import { mkdirSync, statSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Makes a folder and those above it that are missing. Step by step: Node's own `recursive` never returns where the
 * system says of an existing folder that there is nothing, as below /proc.
 */
export function makePath(path: string, mode: number): void {
  const missing: string[] = []
  for (let at = path; !statSync(at, { throwIfNoEntry: false }); at = dirname(at)) missing.push(at)
  for (const folder of missing.reverse()) makeOne(folder, mode)
}

/** Another process may have been quicker. */
function makeOne(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode })
  } catch (error) {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}

/** Those that this process is filling now. */
const filling = new Set<string>()

/**
 * Makes the folder `target` by `fill`, unless it is there. It is whole or absent at any time, also after kill -9;
 * of several makers at once one wins, and the others throw away what they made.
 */
export async function makeFolder(target: string, fill: (dir: string) => Promise<void>): Promise<void> {
  if (await isThere(target)) return
  const parent = dirname(target)
  await mkdir(parent, { recursive: true, mode: 0o711 })
  await removeHalves(parent)
  const half = join(parent, `.half-${process.pid}-${randomUUID().slice(0, 8)}`)
  filling.add(half) // before it is there, so that no other maker takes it for a left-over
  try {
    await mkdir(half, { mode: 0o700 })
    await fill(half)
    await rename(half, target).catch(async (error) => {
      if (!(await isThere(target))) throw error
    })
  } finally {
    await rm(half, { recursive: true, force: true })
    filling.delete(half)
  }
}

/** Removes what killed makers left in `parent`. */
async function removeHalves(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(/^\.half-(\d+)-/.exec(name)?.[1])
    if (!pid) continue
    const path = join(parent, name)
    const used = pid === process.pid ? filling.has(path) : isAlive(pid)
    if (!used) await rm(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Paths of all that is below a folder, sorted. Links are not followed, as a recursive readdir of Node would. */
export async function listBelow(dir: string): Promise<string[]> {
  const paths: string[] = []
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop())
    for (const entry of await readdir(join(dir, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name)
      paths.push(path)
      if (entry.isDirectory()) folders.push(path)
    }
  return paths.sort()
}

export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
