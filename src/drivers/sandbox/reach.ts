import type { Stats } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listBelow } from '../../host/folder.ts'
import type { User } from './users.ts'

const READ = 4
const WRITE = 2
const SEARCH = 1

/**
 * The first folder on the way to `path` that a user may not pass; `undefined` when there is none.
 * Judged by the mode bits: what an access list grants on top does not count.
 */
export async function findBarrier(path: string, user: User): Promise<string | undefined> {
  for (const folder of parents(path)) if (!grants(await stat(folder), user, SEARCH)) return folder
  return undefined
}

/** Whether a user may use a folder, itself and the way to it. */
export async function reaches(dir: string, user: User, write: boolean): Promise<boolean> {
  if (await findBarrier(dir, user)) return false
  return grants(await stat(dir), user, READ | SEARCH | (write ? WRITE : 0))
}

/** Whether a user may read a folder and everything in it. */
async function reads(dir: string, user: User): Promise<boolean> {
  if (!(await reaches(dir, user, false))) return false
  for (const name of await listBelow(dir)) {
    const stats = await lstat(join(dir, name))
    if (stats.isSymbolicLink()) continue
    if (!grants(stats, user, stats.isDirectory() ? READ | SEARCH : READ)) return false
  }
  return true
}

const REMEMBERED = 1_000

/** Like {@link reads}, asked once a folder: walking a bundle takes longer than starting it. */
export function rememberReads(): typeof reads {
  const known = new Map<string, Promise<boolean>>()
  return async (dir, user) => {
    const key = `${dir} ${(await stat(dir)).ctimeMs}`
    const answer = known.get(key) ?? reads(dir, user)
    if (known.size >= REMEMBERED) known.clear()
    known.set(key, answer)
    answer.catch(() => known.delete(key))
    return answer
  }
}

/** From the root down. */
function parents(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [...parents(parent), parent]
}

function grants({ mode, uid, gid }: Stats, user: User, wanted: number): boolean {
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0
  return ((mode >> shift) & wanted) === wanted
}
