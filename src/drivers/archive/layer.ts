import { link, open, readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bytes, type Entry, entriesOf } from './bytes.ts'
import { enter, look, makeFolderAt, partsOf } from './inside.ts'
import { refuse } from './refuse.ts'

/** Lays a layer's plain tar over what is in `root`, which nobody else writes to meanwhile. */
export async function unpackLayer(root: string, tar: Bytes, onEntry: () => void): Promise<void> {
  const added = new Set<string>()
  for await (const entry of entriesOf(tar)) {
    onEntry()
    await unpackEntry(root, entry, added)
    entry.resume()
  }
}

/** @param added paths of this layer and the folders they are in: what hides lower layers does not touch them */
async function unpackEntry(root: string, entry: Entry, added: Set<string>): Promise<void> {
  const parts = partsOf(entry.header.name)
  const name = parts.pop()
  if (name === undefined) return // the root itself
  const folder = await enter(root, parts)
  if (name.startsWith('.wh.')) return hide(root, folder, name, added)
  const path = join(root, ...folder, name)
  await put(root, path, entry)
  for (let at = [...folder, name]; at.length > 0; at = at.slice(0, -1)) added.add(at.join('/'))
}

async function put(root: string, path: string, entry: Entry): Promise<void> {
  const { type, linkname, name } = entry.header
  const target = linkname ?? ''
  switch (type) {
    case 'directory':
      if ((await look(path))?.isDirectory()) return
      await clear(path)
      return makeFolderAt(path)
    case 'file':
    case 'contiguous-file':
      await clear(path)
      return writeContent(path, entry)
    case 'symlink':
      if (target === '' || target.includes('\0'))
        throw refuse(`its link ${JSON.stringify(name)} has no target`)
      await clear(path)
      return symlink(target, path)
    case 'link':
      return linkTo(root, path, target)
    case 'character-device':
    case 'block-device':
    case 'fifo':
      return clear(path)
    default:
      throw refuse(`its entry ${JSON.stringify(name)} has an unknown type`)
  }
}

const clear = (path: string) => rm(path, { recursive: true, force: true })

/** Readable by all, writable by us; of its mode only that it is a program is kept. */
async function writeContent(path: string, entry: Entry): Promise<void> {
  const { mode = 0, mtime } = entry.header
  await using file = await open(path, 'wx')
  for await (const chunk of entry) await file.writeFile(chunk)
  await file.chmod(mode & 0o111 ? 0o755 : 0o644)
  // Some programs believe a compiled file only if its source has the right time.
  const time = mtime?.getTime() ?? 0
  if (Number.isSafeInteger(time)) await file.utimes(time / 1_000, time / 1_000)
}

/** A second name of a file, which is looked for inside the root whatever it is called. */
async function linkTo(root: string, path: string, name: string): Promise<void> {
  const parts = partsOf(name.replace(/^\/+/, ''))
  const last = parts.pop()
  const target = last === undefined ? root : join(root, ...(await enter(root, parts)), last)
  if (target === path) return
  const found = await look(target)
  if (!found || found.isDirectory()) throw refuse(`its ${JSON.stringify(name)} is linked to but is no file`)
  await clear(path)
  await link(target, path)
}

/** `.wh.<name>` removes what lower layers have under a name, `.wh..wh..opq` all they have in its folder. */
async function hide(
  root: string,
  folder: readonly string[],
  mark: string,
  added: Set<string>,
): Promise<void> {
  if (mark === '.wh..wh..opq') return prune(root, folder, added)
  if (mark.startsWith('.wh..wh.')) return // notes of the file system that made the layer
  const name = mark.slice('.wh.'.length)
  if (name === '' || name === '.' || name === '..') throw refuse(`it hides ${JSON.stringify(mark)}`)
  const parts = [...folder, name]
  if (!added.has(parts.join('/'))) await clear(join(root, ...parts))
}

async function prune(root: string, folder: readonly string[], added: Set<string>): Promise<void> {
  for (const entry of await readdir(join(root, ...folder), { withFileTypes: true })) {
    const parts = [...folder, entry.name]
    if (!added.has(parts.join('/'))) await clear(join(root, ...parts))
    else if (entry.isDirectory()) await prune(root, parts, added)
  }
}
