import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'

/** Of this process; each writes to a file of its own. */
let saves = 0

/** What was once found out about files, by the identity of each: a changed file is looked at anew. */
export interface Memory {
  /** What `find` says of a file, or said. */
  recall(what: string, file: string, find: () => Promise<string>): Promise<string>
  save(): Promise<void>
}

/** The memory in a file of ours. One that is missing or broken is an empty memory. */
export async function openMemory(path: string): Promise<Memory> {
  const before = await readEntries(path)
  const now: Record<string, string> = {}
  return {
    async recall(what, file, find) {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
      const key = [what, file, dev, ino, size, mtimeNs, ctimeNs].join(' ')
      const found = before[key] ?? (await find())
      now[key] = found
      return found
    },
    async save() {
      const half = `${path}.${process.pid}-${++saves}`
      await writeFile(half, JSON.stringify(now), { mode: 0o600 })
      await rename(half, path)
    },
  }
}

/** Hex. */
export async function digestFile(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 1024 ** 2 }), hash, { signal })
  return hash.digest('hex')
}

async function readEntries(path: string): Promise<Readonly<Record<string, string>>> {
  try {
    const entries = JSON.parse(await readFile(path, 'utf8'))
    const valid = Object.values(entries).every((value) => typeof value === 'string')
    return valid ? entries : {}
  } catch {
    return {}
  }
}
