import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { SluiceError } from '../core/errors.ts'

/** Bytes of files that a bundle may hold: 100 MB (MiB). */
export const BUNDLE_LIMIT: number = 100 * 1024 ** 2

export interface TreeFile {
  /** Relative, with `/` between its parts. */
  readonly path: string
  readonly size: number
  readonly executable: boolean
}

/**
 * The regular files below `root`, sorted bytewise by path. `skip` sees each relative path, a folder's before those
 * in it, and leaves out what it is true of, folders with all they hold.
 * @throws SluiceError `invalid` naming a link, or anything else that is neither file nor folder
 */
export async function listTree(
  root: string,
  skip: (path: string, folder: boolean) => boolean | Promise<boolean>,
  signal: AbortSignal,
): Promise<TreeFile[]> {
  const files: TreeFile[] = []
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted()
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (await skip(path, entry.isDirectory())) continue
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile()) {
        const { size, mode } = await lstat(join(root, path))
        files.push({ path, size, executable: (mode & 0o100) !== 0 })
      } else throw refused(path, entry.isSymbolicLink())
    }
  }
  return files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
}

/**
 * A tar of `files` (of `root`, in this order) that depends on nothing but their paths, contents and executable
 * bits. Files only: whoever unpacks it makes the folders.
 * @throws SluiceError `too-large` above {@link BUNDLE_LIMIT}, naming the largest files
 */
export async function makeTar(
  root: string,
  files: readonly TreeFile[],
  signal: AbortSignal,
): Promise<Uint8Array> {
  refuseTooLarge(files)
  const tar = pack()
  const whole = buffer(tar)
  const fill = async () => {
    for (const { path, executable } of files) {
      signal.throwIfAborted()
      const content = await readFile(join(root, path))
      const mode = executable ? 0o755 : 0o644
      await new Promise<void>((resolve, reject) => {
        const header = { name: path, mode, mtime: new Date(0), uid: 0, gid: 0, type: 'file' as const }
        tar.entry(header, content, (error) => (error ? reject(error) : resolve()))
      })
    }
    tar.finalize()
  }
  fill().catch((error: Error) => tar.destroy(error))
  const bytes = await whole
  if (bytes.length > BUNDLE_LIMIT) throw tooLarge(bytes.length, files)
  return bytes
}

/** @throws SluiceError `too-large` when the files alone are above {@link BUNDLE_LIMIT}, naming the largest */
export function refuseTooLarge(files: readonly TreeFile[]): void {
  const size = files.reduce((sum, file) => sum + file.size, 0)
  if (size > BUNDLE_LIMIT) throw tooLarge(size, files)
}

function tooLarge(size: number, files: readonly TreeFile[]): SluiceError {
  const largest = files
    .toSorted((a, b) => b.size - a.size)
    .slice(0, 5)
    .map((file) => `${file.path} (${formatSize(file.size)})`)
  return new SluiceError(
    'too-large',
    `the bundle is ${formatSize(size)}, more than ${formatSize(BUNDLE_LIMIT)}`,
    { detail: `remove what the function does not need; the largest files are ${largest.join(', ')}` },
  )
}

export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = bytes < 1024 ** 2 ? 1 : 2
  return `${(bytes / 1024 ** power).toFixed(1)} ${power === 1 ? 'KB' : 'MB'}`
}

function refused(path: string, link: boolean): SluiceError {
  return new SluiceError(
    'invalid',
    `${path} is ${link ? 'a symbolic link' : 'neither a file nor a folder'}`,
    {
      detail: link
        ? 'a bundle holds no links; put a copy of what it points to in its place'
        : 'remove it from the folder',
    },
  )
}
