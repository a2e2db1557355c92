import { createWriteStream } from 'node:fs'
import { chmod, lstat, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type BundleEntry, entriesOf } from '../host/bundle.ts'
import { listBelow } from '../host/folder.ts'

/** Bytes of a file that is written in one go. */
const SMALL = 1_048_576
/** Small files that are being written at a time. */
const AT_ONCE = 8

/**
 * Writes the files of a bundle below `dir`, read-only.
 * @throws Error what {@link entriesOf} finds wrong, or the disk does
 */
export async function unpack(tar: AsyncIterable<Uint8Array>, dir: string): Promise<void> {
  const folders = new Set<string>()
  let writing: Promise<void>[] = []
  try {
    for await (const entry of entriesOf(tar)) {
      const path = join(dir, entry.path)
      const folder = entry.kind === 'file' ? dirname(path) : path
      if (folder !== dir && !folders.has(folder)) {
        await mkdir(folder, { recursive: true })
        for (let at = folder; at !== dir && !folders.has(at); at = dirname(at)) folders.add(at)
      }
      if (entry.kind === 'folder') continue
      writing.push((await write(entry, path)).done)
      if (writing.length < AT_ONCE) continue
      await Promise.all(writing)
      writing = []
    }
  } finally {
    await Promise.allSettled(writing)
  }
  await Promise.all(writing)
  for (const folder of folders) await chmod(folder, 0o555)
}

/** Resolves when the entry's content has been read, to when it is written. */
async function write(
  { size, executable, content }: BundleEntry,
  path: string,
): Promise<{ done: Promise<void> }> {
  const options = { flag: 'wx', mode: executable ? 0o555 : 0o444 }
  if (size > SMALL) {
    await pipeline(content, createWriteStream(path, { ...options, flags: 'wx' }))
    return { done: Promise.resolve() }
  }
  const chunks = await Array.fromAsync(content)
  const done = writeFile(path, Buffer.concat(chunks), options)
  done.catch(() => {})
  return { done }
}

/** Removes a tree whose folders are read-only (which only root may do directly). */
export async function removeUnpacked(path: string): Promise<void> {
  for (const name of await listBelow(path).catch(() => [])) {
    const below = join(path, name)
    if ((await lstat(below)).isDirectory()) await chmod(below, 0o755).catch(() => {})
  }
  await rm(path, { recursive: true, force: true })
}
