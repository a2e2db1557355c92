import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import type { LeftOut } from './deploy/selection.ts'
import type { TreeFile } from './tar.ts'

/** The parts of a package.json that a deploy looks at. */
export interface Manifest {
  readonly main?: unknown
  readonly exports?: unknown
  readonly dependencies?: unknown
  readonly optionalDependencies?: unknown
}

const MODULES = ['func.ts', 'func.mts', 'func.js', 'func.mjs', 'func.cjs'] as const
const SCRIPTS = ['func.sh', 'func.py'] as const
/** A copy of what the bootstrap in the container goes by (`fdk/entry.cjs`); a test holds the two equal. */
export const ENTRIES: readonly string[] = [...MODULES, ...SCRIPTS]
const FDK = '@fnproject/fdk'

/** @throws SluiceError `invalid` when the file is there but no JSON object */
export async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  try {
    const value = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {}
  throw new SluiceError('invalid', `${path} is not a JSON object`, { detail: 'correct it and deploy again' })
}

/** Names of what must be installed. */
export const dependenciesOf = (manifest: Manifest | undefined): string[] =>
  [manifest?.dependencies, manifest?.optionalDependencies].flatMap((names) =>
    typeof names === 'object' && names !== null ? Object.keys(names) : [],
  )

export const usesFdk = (manifest: Manifest | undefined): boolean => dependenciesOf(manifest).includes(FDK)

/**
 * The file that starts the function: `func.{ts,mts,js,mjs,cjs}`, else package.json's `main`, else `func.{sh,py}`.
 * @param leftOut what is there and not sent, so that an error can tell
 */
export function findEntry(
  files: readonly TreeFile[],
  manifest: Manifest | undefined,
  dir: string,
  leftOut: readonly LeftOut[] = [],
): string {
  const has = new Set(files.map((file) => file.path))
  const module = MODULES.find((name) => has.has(name))
  if (module !== undefined) return module
  if (typeof manifest?.main === 'string') {
    const main = posix.normalize(manifest.main).replace(/\/$/, '')
    const candidates = [main, `${main}.js`, posix.join(main, 'index.js')] // as Node does
    const found = candidates.find((name) => has.has(name))
    if (found !== undefined) return found
    refuseLeftOut(candidates, leftOut)
    throw new SluiceError('invalid', `"main" of package.json in ${dir} names no file of the folder`, {
      detail: `got ${JSON.stringify(manifest.main)}`,
    })
  }
  const script = SCRIPTS.find((name) => has.has(name))
  if (script !== undefined) return script
  refuseLeftOut(ENTRIES, leftOut)
  throw new SluiceError('invalid', `nothing to run in ${dir}`, {
    detail: `put the function in one of ${ENTRIES.join(', ')}, or name its file as "main" in package.json`,
  })
}

/** The usual case: the build's output is not git's, and it is what runs. */
function refuseLeftOut(names: readonly string[], leftOut: readonly LeftOut[]): void {
  const rule = leftOut.find(({ path }) => names.some((name) => name === path || name.startsWith(path)))
  if (rule === undefined) return
  const { path, why } = rule
  throw new SluiceError('invalid', `${path}, which is to run, is left out by ${why}`, {
    detail: `write "!${path}" into .sluiceignore`,
  })
}

/**
 * Refuses installed packages whose entry point is TypeScript: Node strips types in your own files only.
 * Packages that ship their sources beside JavaScript are fine.
 */
export async function refuseTypeScriptPackages(root: string, files: readonly TreeFile[]): Promise<void> {
  for (const { path } of files) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^@/.][^/]*(?=\/package\.json$)/.exec(path)?.[0]
    if (folder === undefined) continue
    const entry = entriesOf((await readManifest(join(root, path))) ?? {}).find(isTypeScript)
    if (entry !== undefined)
      throw new SluiceError('invalid', `${posix.join(folder, entry)} is TypeScript inside node_modules`, {
        detail:
          'Node runs TypeScript of your own folder only; use a version of the package that ships JavaScript',
      })
  }
}

/** The files that `import` and `require` of the package by its name may load. */
function entriesOf({ exports, main }: Manifest): string[] {
  if (exports === undefined || exports === null) return typeof main === 'string' ? [main] : []
  const map = exports as Record<string, unknown>
  const subpaths = typeof exports === 'object' && Object.keys(map).some((key) => key.startsWith('.'))
  const roots = !subpaths ? [exports] : '.' in map ? [map['.']] : Object.values(map)
  return roots
    .flatMap((target) => [resolveTarget(target, 'import'), resolveTarget(target, 'require')])
    .filter((target) => target !== undefined)
}

/** Node's choice among conditional exports: the first key that applies and leads somewhere. */
function resolveTarget(target: unknown, kind: 'import' | 'require'): string | undefined {
  if (typeof target === 'string') return target
  if (typeof target !== 'object' || target === null) return undefined
  for (const [key, value] of Object.entries(target)) {
    const applies = Array.isArray(target) || ['node', 'module-sync', 'default', kind].includes(key)
    const resolved = applies ? resolveTarget(value, kind) : undefined
    if (resolved !== undefined) return resolved
  }
  return undefined
}

const isTypeScript = (path: string) => /\.[mc]?tsx?$/.test(path) && !/\.d\.[mc]?ts$/.test(path)
