import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { type LeftOut, selectFiles } from './deploy/selection.ts'
import { installDependencies } from './npm.ts'
import {
  dependenciesOf,
  findEntry,
  readManifest,
  refuseTypeScriptPackages,
  usesFdk,
} from './package-entry.ts'
import { listTree, makeTar, refuseTooLarge, type TreeFile } from './tar.ts'

export interface PackOptions {
  readonly signal: AbortSignal
  /** A line for people: what is being done, a warning, or npm's words when it failed. */
  readonly onProgress?: (line: string) => void
  /** Calls one container will serve at once; more than 1 is refused for FDK functions. @default 1 */
  readonly concurrency?: number
  /** Sees the folder as it will be, with its dependencies, before it is packed; what it throws ends the deploy. */
  readonly check?: (dir: string, entry: string) => Promise<void>
  /** Of npm. @default the process's own */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** A function's folder with its dependencies, as it is sent to the server. */
export interface Bundle {
  readonly tar: Uint8Array
  /** Hex sha256 of `tar`. */
  readonly digest: string
  /** The file that starts the function. */
  readonly entry: string
  readonly contents: readonly TreeFile[]
  readonly leftOut: readonly LeftOut[]
  /** How many. */
  readonly files: number
  /** Bytes of `tar`. */
  readonly size: number
}

const LOCKS: ReadonlySet<string> = new Set(['package-lock.json', 'npm-shrinkwrap.json'])

/**
 * Copies a folder, installs its dependencies in the copy and packs that. The folder itself is only read.
 * The same content gives the same digest, whatever the times, owners and order of its files.
 * @throws SluiceError `invalid` or `too-large` naming the file and what to do
 */
export async function packBundle(dir: string, options: PackOptions): Promise<Bundle> {
  const { signal, onProgress = () => {} } = options
  await checkFolder(dir)
  const { files: sources, leftOut, secrets } = await selectFiles(dir, signal)
  for (const path of secrets) onProgress(`warning: ${path} is sent, since .sluiceignore asks for it`)
  const manifest = await readManifest(join(dir, 'package.json'))
  const entry = findEntry(sources, manifest, dir, leftOut)
  if ((options.concurrency ?? 1) > 1 && usesFdk(manifest))
    throw new SluiceError('invalid', 'an FDK function serves one call at a time', {
      detail: `concurrency must be 1 with @fnproject/fdk, got ${options.concurrency}`,
    })

  refuseTooLarge(sources)
  await using copy = await copyTree(dir, sources, signal)
  if (dependenciesOf(manifest).length > 0) {
    const locked = sources.some((file) => LOCKS.has(file.path))
    if (!locked)
      onProgress(
        'warning: no package-lock.json, so versions may differ from deploy to deploy; "npm install" makes one',
      )
    onProgress('installing dependencies …')
    await installDependencies(copy.path, { locked, signal, onOutput: onProgress, env: options.env })
  }
  const files = await listTree(copy.path, isOfNpm, signal)
  await refuseTypeScriptPackages(copy.path, files)
  await options.check?.(copy.path, entry)
  const tar = await makeTar(copy.path, files, signal)
  const digest = createHash('sha256').update(tar).digest('hex')
  return { tar, digest, entry, contents: files, leftOut, files: files.length, size: tar.length }
}

/** What only npm needs: links to programs, notes about where it got packages from, and settings with passwords. */
const isOfNpm = (path: string) =>
  /(^|\/)node_modules\/\.bin$/.test(path) || path === 'node_modules/.package-lock.json' || path === '.npmrc'

async function checkFolder(dir: string): Promise<void> {
  const found = await stat(dir).catch(() => undefined)
  if (!found?.isDirectory())
    throw new SluiceError('not-found', `no folder ${dir}`, { detail: 'name the folder of a function' })
}

async function copyTree(
  from: string,
  files: readonly TreeFile[],
  signal: AbortSignal,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-bundle-'))
  const copy = { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
  try {
    for (const file of files) {
      signal.throwIfAborted()
      await mkdir(dirname(join(path, file.path)), { recursive: true })
      await copyFile(join(from, file.path), join(path, file.path))
      await chmod(join(path, file.path), file.executable ? 0o755 : 0o644)
    }
    return copy
  } catch (error) {
    await copy[Symbol.asyncDispose]()
    throw error
  }
}
