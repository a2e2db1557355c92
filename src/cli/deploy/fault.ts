import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SluiceError } from '../../core/errors.ts'
import { listTree } from '../tar.ts'

/** What went wrong while a function was loaded. */
export interface Fault {
  readonly name: string
  readonly message: string
  readonly stack: string
  /** Of the error and of whatever caused it. */
  readonly codes: readonly unknown[]
}

interface Place {
  /** Of the function's folder. */
  readonly file: string
  readonly line: number | undefined
  /** The lines of the program that Node shows, with marks below. */
  readonly excerpt?: string
}

interface Where {
  readonly dir: string
  readonly entry: string
  readonly signal: AbortSignal
}

/** The fault with its place and what to do about it. */
export async function explainFault(fault: Fault, where: Where): Promise<SluiceError> {
  const { file, line, excerpt } = (await findPlace(fault, where)) ?? { file: where.entry, line: undefined }
  const message = oneLine(withoutFolder(fault.message, where.dir))
  const hint = await hintFor(fault, where)
  const at = line === undefined ? file : `${file}:${line}`
  const name = fault.name === 'Error' ? '' : `${fault.name}: `
  return new SluiceError('invalid', `${at}: ${name}${message}`, {
    detail: [excerpt?.replace(/\s+/g, ' ').trim(), hint].filter(Boolean).join(' · ') || undefined,
  })
}

/** Syntax errors name their place first, others in their stack, and what cannot be imported nowhere. */
async function findPlace({ message, stack }: Fault, where: Where): Promise<Place | undefined> {
  const head = /^(.*):(\d+)\n([\s\S]*?)\n\n/.exec(stack) // no path: TypeScript that was only read
  if (head) {
    const [, path = '', line, shown = ''] = head
    const marked = shown.split('\n').findIndex((row) => /^\s*\^+\s*$/.test(row))
    const excerpt = shown.split('\n')[marked - 1]
    return { file: inFolder(path, where) ?? where.entry, line: Number(line), ...(excerpt && { excerpt }) }
  }
  const specifier = specifierOf(message, where.dir)
  if (specifier !== undefined) return await findImport(specifier, message, where)
  for (const [, path = '', line] of stack.matchAll(/\(?((?:file:\/\/)?\/[^\s()]+):(\d+):\d+\)?$/gm)) {
    const file = inFolder(path, where)
    if (file !== undefined && !file.startsWith('node_modules/')) return { file, line: Number(line) }
  }
  return undefined
}

/** The last part of what an import asks for: enough to find the line that asks. */
function specifierOf(message: string, dir: string): string | undefined {
  const asked =
    /Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1] ??
    /Directory import '([^']+)'/.exec(message)?.[1] ??
    /requested module '([^']+)'/.exec(message)?.[1]
  if (asked === undefined) return undefined
  return asked.startsWith(dir) ? (asked.split('/').at(-1) as string) : asked
}

async function findImport(specifier: string, message: string, where: Where): Promise<Place | undefined> {
  const importer = /(?:imported from|Require stack:\s*-) (\S+)/.exec(message)?.[1]
  const known = importer === undefined ? undefined : inFolder(importer, where)
  const files = known === undefined ? await ownFiles(where) : [known]
  for (const file of files) {
    const rows = (await readFile(join(where.dir, file), 'utf8')).split('\n')
    const at = rows.findIndex((row) => /\b(import|from|require)\b/.test(row) && quotes(row, specifier))
    if (at >= 0) return { file, line: at + 1, excerpt: rows[at] as string }
  }
  return known === undefined ? undefined : { file: known, line: undefined }
}

const quotes = (row: string, specifier: string): boolean =>
  ["'", '"', '`', '/'].some((end) => row.includes(`${specifier}${end}`))

async function ownFiles({ dir, entry, signal }: Where): Promise<string[]> {
  const files = await listTree(dir, (path) => path === 'node_modules', signal)
  const programs = files.map(({ path }) => path).filter((path) => /\.[mc]?[jt]s$/.test(path))
  return [entry, ...programs.filter((path) => path !== entry)]
}

async function hintFor({ message, codes, name }: Fault, where: Where): Promise<string> {
  const [code] = codes
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
    return 'types are removed, and nothing is compiled: write an enum as a const object, a parameter property as a field'
  if (code === 'ERR_UNSUPPORTED_DIR_IMPORT') return 'name the file in it, like "./lib/index.ts"'
  const missing = /Cannot find module '([^']+)'/.exec(message)?.[1]
  if (missing?.startsWith('/') || missing?.startsWith('.')) return await hintForFile(missing, where)
  const lacking = missing ?? /Cannot find package '([^']+)'/.exec(message)?.[1]
  if (lacking !== undefined)
    return `"npm install ${packageOf(lacking)}" in the function's folder adds it to package.json`
  if (isModuleAsScript(message)) return await hintForType(where)
  if (name === 'SyntaxError' || /^require is not defined/.test(message)) return ''
  return 'the check has the config of app and function, and no network; --no-check deploys it as it is'
}

async function hintForFile(missing: string, { dir, signal }: Where): Promise<string> {
  const wanted = missing.startsWith(dir) ? relative(dir, missing) : missing.replace(/^(\.\.?\/)+/, '')
  const files = (await listTree(dir, (path) => path === 'node_modules', signal)).map(({ path }) => path)
  const stem = wanted.replace(/\.[mc]?js$/, '')
  const found = files.find((path) => [stem, `${stem}/index`].includes(path.replace(/\.[mc]?[jt]s$/, '')))
  if (found === undefined) return 'there is no such file in the function’s folder'
  const extension = found.slice(stem.length)
  return `an import names its file in full: write "…/${stem.split('/').at(-1)}${extension}"`
}

const isModuleAsScript = (message: string): boolean =>
  /^(Cannot use import statement outside a module|Unexpected token 'export')/.test(message)

async function hintForType({ dir, entry }: Where): Promise<string> {
  const manifest = await readFile(join(dir, 'package.json'), 'utf8').catch(() => '')
  const module = entry.replace(/\.([jt]s)$/, '.m$1')
  return /"type"\s*:\s*"commonjs"/.test(manifest)
    ? `package.json says "type": "commonjs", as "npm init" writes it: make it "module"`
    : `name the file ${module}, or write "type": "module" into package.json`
}

const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier

/** Relative to the function's folder, or `undefined` for a file outside of it. */
function inFolder(path: string, { dir }: Where): string | undefined {
  if (path === '') return undefined
  const plain = path.startsWith('file://') ? fileURLToPath(path) : path
  const below = relative(dir, plain)
  return below === '' || below.startsWith('..') ? undefined : below
}

const withoutFolder = (text: string, dir: string) => text.replaceAll(`${dir}/`, '')
const oneLine = (text: string) => text.split('\n', 1)[0] as string
