import { chmod, lstat, mkdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { refuse } from './refuse.ts'

/**
 * The parts of an entry's name; none of what means the root itself.
 * @throws DriverError `bad-spec` for one that leaves the root
 */
export function partsOf(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || name.includes('\0') || parts.includes('..'))
    throw refuse(`its entry ${JSON.stringify(name)} leaves the image`)
  return parts
}

/** As the kernel allows. */
const LINKS = 40

/**
 * The real place of a folder, as parts below `root`: links on the way are followed as they are seen from inside,
 * so that none leads out. What is missing is made.
 * @throws DriverError `bad-spec` when something on the way is no folder
 */
export async function enter(root: string, parts: readonly string[]): Promise<string[]> {
  const at: string[] = []
  const todo = parts.toReversed()
  let links = 0
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      at.pop()
      continue
    }
    const path = join(root, ...at, part)
    const found = await look(path)
    if (found?.isSymbolicLink()) {
      if (++links > LINKS) throw refuse(`its ${JSON.stringify(parts.join('/'))} leads through too many links`)
      const target = await readlink(path)
      if (target.startsWith('/')) at.length = 0
      todo.push(...target.split('/').reverse())
      continue
    }
    if (!found) await makeFolderAt(path)
    else if (!found.isDirectory()) throw refuse(`its ${JSON.stringify(parts.join('/'))} is below a file`)
    at.push(part)
  }
  return at
}

export async function makeFolderAt(path: string): Promise<void> {
  await mkdir(path)
  await chmod(path, 0o755)
}

export const look = (path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> =>
  lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
