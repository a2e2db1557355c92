import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { removeDir } from '../socket.ts'
import { killBearers, killTree, readStat, untilGone } from '../tree.ts'

/** What is needed to remove a container whose node has died: a file `<id>.json` that exists as long as it does. */
export interface ContainerRecord {
  /** Of its first process, which leads its process group. */
  readonly pid: number
  /** Of that process; absent where the system does not tell, and then nothing is ever killed. */
  readonly startTime?: number | undefined
  readonly dir: string
}

export async function writeRecord(root: string, id: string, pid: number, dir: string): Promise<void> {
  const record: ContainerRecord = { pid, startTime: readStat(pid)?.startTime, dir }
  await writeFile(recordPath(root, id), JSON.stringify(record), { mode: 0o600 })
}

export async function removeRecord(root: string, id: string): Promise<void> {
  await rm(recordPath(root, id), { force: true })
}

/** Ends the containers and removes the folders that a node left in `root` when it was killed. */
export async function reap(root: string, clock: Clock): Promise<void> {
  const names = await readdir(root)
  for (const name of names.filter((name) => name.endsWith('.json'))) {
    const record = parseRecord(await readFile(join(root, name), 'utf8'))
    if (record) await end(record, root, clock)
    await rm(join(root, name), { force: true })
  }
  for (const name of names.filter((name) => name.startsWith('sl-'))) await removeDir(join(root, name))
}

async function end({ pid, startTime, dir }: ContainerRecord, root: string, clock: Clock): Promise<void> {
  const same = () => startTime !== undefined && readStat(pid)?.startTime === startTime
  if (same()) await untilGone(() => same() && killTree(pid), clock)
  // A record is a file that somebody may have changed: only what can be a container's folder is removed.
  const ours = [root, tmpdir()].includes(dirname(dir)) && /^sl-\w{6}$/.test(basename(dir))
  if (!ours) return
  await untilGone(() => killBearers(dir), clock)
  await removeDir(dir)
}

/** `undefined` for a file that was cut off by the death of its writer. */
function parseRecord(text: string): ContainerRecord | undefined {
  try {
    const { pid, startTime, dir } = JSON.parse(text)
    const valid = Number.isSafeInteger(pid) && pid > 1 && typeof dir === 'string'
    return valid ? { pid, startTime, dir } : undefined
  } catch {
    return undefined
  }
}

const recordPath = (root: string, id: string) => join(root, `${id}.json`)
