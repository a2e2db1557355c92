import { chmodSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../core/errors.ts'
import { DriverError } from '../driver.ts'

/**
 * Makes what is missing in a rootfs of ours for something to be mounted there: read-only as the root is, bubblewrap
 * cannot. A link on the way is refused, since it may lead out of the rootfs.
 * @throws DriverError `bad-spec` or `unavailable`
 */
export function makeMountPoint(rootfs: string, target: string, kind: 'folder' | 'file'): void {
  const names = target.split('/').filter((name) => name !== '')
  const last = names.pop() as string
  let at = rootfs
  for (const name of names) {
    at = join(at, name)
    make(at, 'folder', target)
  }
  make(join(at, last), kind, target)
}

function make(path: string, kind: 'folder' | 'file', target: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) create(path, kind)
  else if (!(kind === 'folder' ? stat.isDirectory() : stat.isFile()))
    throw new DriverError('bad-spec', `cannot mount ${target}: what is there is no ${kind}`)
}

function create(path: string, kind: 'folder' | 'file'): void {
  try {
    if (kind === 'folder') mkdirSync(path, { recursive: true })
    else writeFileSync(path, '', { flag: 'a' })
    chmodSync(path, kind === 'folder' ? 0o755 : 0o644)
  } catch (error) {
    throw new DriverError('unavailable', `cannot make a mount point: ${messageOf(error)}`, { cause: error })
  }
}
