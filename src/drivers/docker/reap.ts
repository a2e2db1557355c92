import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { removeDir } from '../socket.ts'
import { api } from './api.ts'
import type { Engine } from './engine.ts'
import { removeContainer } from './requests.ts'
import { FOLDER, OWNER } from './settings.ts'

/** What names a data folder in labels, where a path of this machine has no place. */
export const ownerOf = (root: string): string => createHash('sha256').update(root).digest('hex').slice(0, 16)

/** Removes the containers and folders that a node left in `root` when it was killed. @throws DriverError */
export async function reap(engine: Engine, owner: string, root: string): Promise<void> {
  const left = await engine.ask('list containers', api.containers(`${OWNER}=${owner}`), { idempotent: true })
  await Promise.all(left.map(({ Id }) => removeContainer(engine, Id)))
  for (const { Labels } of left) {
    const dir = Labels[FOLDER]
    // A label that somebody may have changed: only what can be a container's folder is removed.
    if (dir && [root, tmpdir()].includes(dirname(dir)) && /^sl-\w{6}$/.test(basename(dir)))
      await removeDir(dir)
  }
  for (const name of await readdir(root)) {
    if (name.startsWith('sl-')) await removeDir(join(root, name))
    if (name.startsWith('canary-')) await rm(join(root, name), { recursive: true, force: true })
  }
}
