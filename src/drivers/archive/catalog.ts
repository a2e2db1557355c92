import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../core/errors.ts'
import { singleFlight } from './flight.ts'
import { type ArchivedImage, readImages } from './manifest.ts'
import { openFolder, openTar } from './place.ts'

/** What is in an image folder. */
export interface Listing {
  /** What was changed last comes first. */
  readonly found: readonly ArchivedImage[]
  /** `name: reason` of what could not be read. */
  readonly broken: readonly string[]
}

interface Seen {
  /** Of the file; another one is read anew. */
  readonly identity: string
  readonly images: readonly ArchivedImage[]
  readonly problem?: string
}

const ARCHIVE = /\.(tar(\.(gz|zst))?|tgz|tzst)$/

/** The images of a folder, each archive read when it is new or has changed. A broken one hides no other. */
export function catalog(dir: string): { list(signal: AbortSignal): Promise<Listing> } {
  const known = new Map<string, Seen>()
  const reading = singleFlight<Seen>()

  const look = async (name: string, identity: string, signal: AbortSignal): Promise<Seen> => {
    const before = known.get(name)
    if (before?.identity === identity) return before
    const seen = await reading(
      `${name} ${identity}`,
      (shared) => readArchive(dir, name, identity, shared),
      signal,
    )
    known.set(name, seen)
    return seen
  }

  return {
    async list(signal) {
      const archives = await listArchives(dir)
      const seen: Seen[] = []
      for (const { name, identity } of archives) seen.push(await look(name, identity, signal))
      for (const name of known.keys()) if (!archives.some((one) => one.name === name)) known.delete(name)
      return {
        found: seen.flatMap(({ images }) => images),
        broken: seen.flatMap(({ problem }) => problem ?? []),
      }
    },
  }
}

async function readArchive(dir: string, name: string, identity: string, signal: AbortSignal): Promise<Seen> {
  const path = join(dir, name)
  const tar = ARCHIVE.test(name)
  try {
    const place = tar ? await openTar(path, signal) : openFolder(path)
    return { identity, images: await readImages(place, name.replace(ARCHIVE, ''), signal) }
  } catch (error) {
    signal.throwIfAborted()
    return { identity, images: [], problem: `${name}: ${messageOf(error)}` }
  }
}

async function listArchives(dir: string): Promise<{ name: string; identity: string; changed: number }[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const archives = await Promise.all(
    names
      .filter((name) => !name.startsWith('.'))
      .map(async (name) => {
        const file = ARCHIVE.test(name) ? name : join(name, 'index.json')
        const found = await stat(join(dir, file)).catch(() => undefined)
        if (!found?.isFile()) return []
        return { name, identity: `${found.ino} ${found.size} ${found.mtimeMs}`, changed: found.mtimeMs }
      }),
  )
  return archives.flat().sort((a, b) => b.changed - a.changed || (a.name < b.name ? -1 : 1))
}
