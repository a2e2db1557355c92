import { mkdirSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../core/errors.ts'
import { DriverError } from '../driver.ts'

/** Who a container is on this machine: nobody else, and the owner of nothing. */
export interface User {
  readonly uid: number
  readonly gid: number
}

export interface Users {
  /** One that no other container of this machine has. @throws DriverError `no-room` */
  take(): User
  give(user: User): void
}

export interface UsersOptions {
  readonly first: number
  readonly count: number
  /** The folder that the claims are made for: those of a folder that is gone are void. */
  readonly owner: string
  /** Shared by all nodes of this machine, and forgotten when it boots. @default {@link CLAIMS} */
  readonly claims?: string
}

export const CLAIMS = '/run/sluice/uids'

/**
 * Users of containers, one each. Taken is a user as long as there is a link `<uid>` → owner: made atomically,
 * seen by every node of the machine, and left by one that was killed until the next one opens its folder.
 * @throws DriverError `unavailable`
 */
export function openUsers({ first, count, owner, claims = CLAIMS }: UsersOptions): Users {
  if (!(first > 0 && count > 0 && first + count <= 2 ** 31))
    throw new DriverError(
      'unavailable',
      `users for containers must be without root, got ${count} from ${first}`,
    )
  try {
    mkdirSync(claims, { recursive: true, mode: 0o700 })
    for (const path of readdirSync(claims).map((name) => join(claims, name)))
      if (isVoid(path, owner)) rmSync(path, { force: true })
  } catch (error) {
    throw new DriverError('unavailable', `cannot tell users apart in ${claims}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  let next = 0
  return {
    take() {
      // Not the one given back last: a process of its may still be on its way out of the list of processes.
      for (let tried = 0; tried < count; tried++) {
        const uid = first + (next++ % count)
        if (claim(join(claims, `${uid}`), owner)) return { uid, gid: uid }
      }
      throw new DriverError('no-room', `all ${count} users for containers are taken`)
    },
    give: ({ uid }) => rmSync(join(claims, `${uid}`), { force: true }),
  }
}

function isVoid(path: string, owner: string): boolean {
  try {
    const target = readlinkSync(path)
    return target === owner || statSync(target, { throwIfNoEntry: false }) === undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false // given back in the meantime
    throw error
  }
}

function claim(path: string, owner: string): boolean {
  try {
    symlinkSync(owner, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new DriverError('unavailable', `cannot claim a user: ${messageOf(error)}`, { cause: error })
  }
}
