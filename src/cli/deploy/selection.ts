import { readFile, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import ignore, { type Ignore } from 'ignore'
import { SluiceError } from '../../core/errors.ts'
import { listTree, type TreeFile } from '../tar.ts'

/** What of a folder goes into a bundle. */
export interface Selection {
  readonly files: readonly TreeFile[]
  /** Files, and folders (with a "/" at the end) with all they hold, that somebody might miss. */
  readonly leftOut: readonly LeftOut[]
  /** Files with the names of secrets that .sluiceignore asks for. */
  readonly secrets: readonly string[]
}

export interface LeftOut {
  readonly path: string
  /** Which rule left it out: `.gitignore`, or `secret` by its name. */
  readonly why: 'secret' | '.gitignore' | '.sluiceignore'
}

const OWN_RULES = '.sluiceignore'
/** Never part of a bundle: dependencies are installed anew, the others are no part of the program. */
const NO_PART = new Set([
  'node_modules',
  '.git',
  '.sluice',
  '.hg',
  '.svn',
  '.DS_Store',
  '.gitignore',
  OWN_RULES,
])
/** What usually holds a password or a key. `.sluiceignore` may ask for one: `!.env`. */
const SECRETS = ignore().add([
  '.env',
  '.env.*',
  '*.pem',
  '*.key',
  '*.p12',
  '*.pfx',
  '*.jks',
  'id_rsa',
  'id_ecdsa',
  'id_ed25519',
  '.netrc',
  '.pgpass',
  '.ssh/',
  '.aws/',
  '.npmrc',
])
/** npm reads these while it installs, whatever git thinks of them. */
const FOR_NPM = new Set(['package.json', 'package-lock.json', 'npm-shrinkwrap.json', '.npmrc'])

/**
 * The files of a function's folder without what is no part of it: secrets by their usual names, what git ignores,
 * and what `.sluiceignore` says in the same words; there `!name` brings back what another rule leaves out.
 */
export async function selectFiles(dir: string, signal: AbortSignal): Promise<Selection> {
  const own = (await readRules(dir, OWN_RULES)) ?? ignore()
  const git = await gitRules(dir)
  const leftOut: LeftOut[] = []
  const secrets: string[] = []
  const broughtBack: string[] = [] // folders, of which git would take nothing
  const reasonFor = (path: string): LeftOut['why'] | undefined => {
    const { ignored, unignored } = own.test(path)
    if (ignored) return OWN_RULES
    const secret = SECRETS.ignores(path)
    if (unignored && secret) secrets.push(path)
    if (unignored && path.endsWith('/')) broughtBack.push(path)
    if (unignored) return undefined
    if (secret) return 'secret'
    const back = broughtBack.some((folder) => path.startsWith(folder))
    return !back && git.ignores(path) ? '.gitignore' : undefined
  }
  const skip = async (path: string, folder: boolean): Promise<boolean> => {
    if (NO_PART.has(path.slice(path.lastIndexOf('/') + 1))) return true
    if (FOR_NPM.has(path)) return false
    const shown = folder ? `${path}/` : path
    const why = reasonFor(shown)
    if (why !== undefined) leftOut.push({ path: shown, why })
    else if (folder) await git.enter(path)
    return why !== undefined
  }
  const files = await listTree(dir, skip, signal)
  return { files, leftOut: leftOut.sort((a, b) => (a.path < b.path ? -1 : 1)), secrets }
}

interface GitRules {
  ignores(path: string): boolean
  /** Reads the rules of a folder below. */
  enter(folder: string): Promise<void>
}

/** The .gitignore files of a folder, of those below it, and of those above up to the root of its repository. */
async function gitRules(dir: string): Promise<GitRules> {
  const rules: { readonly root: string; readonly rules: Ignore }[] = [] // the nearest last
  const read = async (root: string) => {
    const found = await readRules(root, '.gitignore')
    if (found) rules.push({ root, rules: found })
  }
  const verdict = (path: string): boolean => {
    for (const { root, rules: nearest } of rules.toReversed()) {
      const below = relative(root, join(dir, path))
      if (below === '' || below.startsWith('..')) continue
      const { ignored, unignored } = nearest.test(path.endsWith('/') ? `${below}/` : below)
      if (ignored || unignored) return ignored
    }
    return false
  }
  for (const folder of await foldersAbove(dir)) await read(folder)
  if (verdict('./')) rules.length = 0 // the folder as a whole is not git's: its own rules alone count
  await read(dir)
  return { ignores: verdict, enter: (folder) => read(join(dir, folder)) }
}

/** From the root of the repository down to the parent of `dir`; none outside of a repository. */
async function foldersAbove(dir: string): Promise<string[]> {
  const above: string[] = []
  for (let folder = dir; ; folder = dirname(folder)) {
    if (folder !== dir) above.unshift(folder)
    if (await isThere(join(folder, '.git'))) return above
    if (folder === dirname(folder)) return []
  }
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

/** @throws SluiceError `invalid` when the rules are there and cannot be read: nothing is sent on a guess */
async function readRules(dir: string, name: string): Promise<Ignore | undefined> {
  try {
    return ignore({ ignorecase: false }).add(await readFile(join(dir, name), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SluiceError('invalid', `${join(dir, name)} cannot be read`, {
      cause: error,
      detail: (error as Error).message,
    })
  }
}
