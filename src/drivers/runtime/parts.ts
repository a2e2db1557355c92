import { constants } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DriverError } from '../driver.ts'
import { findApplets, findBusybox } from './busybox.ts'
import { findLibraries } from './libraries.ts'
import type { Memory } from './memory.ts'

export interface PartsOptions {
  /** A Node binary. @default the one that runs this */
  readonly node?: string
  /** A static busybox. @default the machine's, if it has one */
  readonly busybox?: string
  /** Our folder with `bootstrap.cjs`. */
  readonly fdk: string
}

/** One thing in the runtime. A path is relative to its root. */
export type Part =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly from: string; readonly mode: number }
  | { readonly kind: 'text'; readonly path: string; readonly text: string }
  | { readonly kind: 'link'; readonly path: string; readonly to: string }

/** Mount points among them, since nobody can make one in a root that is mounted read-only. */
const FOLDERS = ['', 'bin', 'dev', 'etc', 'function', 'proc', 'sluice', 'sluice/fdk', 'sys', 'tmp']

const TEXTS = {
  'etc/group': 'root:x:0:\nfn:x:1000:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nfn:x:1000:1000:fn:/tmp:/bin/sh\n',
  'etc/resolv.conf': '',
}

/**
 * Everything that the runtime is made of, folders before what is in them.
 * @throws DriverError `unavailable` when something that must be there is not
 */
export async function listParts(options: PartsOptions, memory: Memory): Promise<Part[]> {
  const { node = process.execPath, fdk } = options
  const busybox = await findBusybox(options.busybox)
  const files: Part[] = [
    { kind: 'file', path: 'bin/node', from: node, mode: 0o755 },
    ...(await findLibraries(node, memory)).map(({ path, from }): Part => {
      return { kind: 'file', path, from, mode: 0o755 }
    }),
    ...Object.entries(TEXTS).map(([path, text]): Part => ({ kind: 'text', path, text })),
    ...(busybox === undefined ? [] : await listShell(busybox, memory)),
    ...(await listFdk(fdk)),
  ]
  return [...foldersOf(files), ...files]
}

async function listShell(busybox: string, memory: Memory): Promise<Part[]> {
  const applets = await findApplets(busybox, memory)
  return [
    { kind: 'file', path: 'bin/busybox', from: busybox, mode: 0o755 },
    ...applets.map((name): Part => ({ kind: 'link', path: `bin/${name}`, to: 'busybox' })),
    { kind: 'link', path: 'usr/bin/env', to: '../../bin/busybox' }, // what scripts begin with
  ]
}

async function listFdk(dir: string): Promise<Part[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.cjs')).sort()
  if (!names.includes('bootstrap.cjs'))
    throw new DriverError('unavailable', `the base runtime cannot be built: ${dir} has no bootstrap.cjs`)
  return names.map((name) => {
    return { kind: 'file', path: `sluice/fdk/${name}`, from: join(dir, name), mode: 0o644 }
  })
}

function foldersOf(files: readonly Part[]): Part[] {
  const folders = new Set(FOLDERS)
  for (const { path } of files) for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at)
  return [...folders].sort().map((path) => ({ kind: 'folder', path }))
}

/** Writes one part below `root`, with its mode whatever the umask. */
export async function writePart(root: string, part: Part): Promise<void> {
  const path = join(root, part.path)
  if (part.kind === 'link') return symlink(part.to, path)
  if (part.kind === 'folder') await mkdir(path)
  else if (part.kind === 'text') await writeFile(path, part.text)
  else await copyFile(part.from, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await chmod(path, part.kind === 'folder' ? 0o755 : part.kind === 'text' ? 0o644 : part.mode)
}
