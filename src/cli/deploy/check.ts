import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { SluiceError } from '../../core/errors.ts'
import type { Format } from '../../core/words.ts'
import { explainFault, type Fault } from './fault.ts'

export interface CheckOptions {
  /** A folder with the function and its dependencies. */
  readonly dir: string
  /** The file in it that starts the function. */
  readonly entry: string
  readonly format: Format
  /** What the function finds in its environment. */
  readonly config: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Milliseconds. @default 20_000 */
  readonly limit?: number
}

const PROGRAM = join(import.meta.dirname, '../../fdk/check.cjs')
const LIMIT = 20_000
/** What only a container has: then the check cannot tell. */
const NOT_HERE = new Set(['ERR_ACCESS_DENIED', 'ERR_DLOPEN_DISABLED'])

/**
 * Loads a function once, in a process that can write nowhere, start nothing and reach no network, and refuses one
 * that cannot run. Programs that are no module with a default export (scripts, format port, those that read stdin)
 * are checked for their syntax alone, since loading them would be running them.
 * @returns a warning when the check could not tell
 * @throws SluiceError `invalid` naming file, line and what to do
 */
export async function checkProgram(given: CheckOptions): Promise<string | undefined> {
  const options = { ...given, dir: await realpath(given.dir) } // as errors name it
  const { entry, format } = options
  if (/\.(sh|py)$/.test(entry)) return await checkScript(options)
  const isServed = format === 'http-stream' || (format !== 'port' && (await hasDefaultExport(options)))
  const finding = isServed ? await runCheck(options, 'load') : await checkSyntax(options)
  if ('error' in finding) {
    const { codes, message } = finding.error
    if (codes.some((code) => NOT_HERE.has(String(code))))
      return `${entry} could not be checked, since it needs more than the check allows while it loads: ${message}`
    throw await explainFault(finding.error, options)
  }
  if (finding.found === 'nothing') throw finding.code ? ended(options, finding.code) : withoutHandler(options)
  if (finding.found === 'late') throw tooSlow(options)
  return undefined
}

type Finding =
  | { readonly found: 'handler' | 'server' | 'program' | 'late' }
  | { readonly found: 'nothing'; readonly code?: number }
  | { readonly error: Fault }

async function checkSyntax(options: CheckOptions): Promise<Finding> {
  const { dir, entry, signal } = options
  if (/ts$/.test(entry)) return await runCheck(options, 'strip')
  const stack = await failureOf(process.execPath, ['--check', join(dir, entry)], dir, signal)
  if (stack === undefined) return { found: 'program' }
  const [, name = 'SyntaxError', message = stack] = /^(\w*Error): (.*)$/m.exec(stack) ?? []
  return { error: { name, message, stack, codes: [] } }
}

async function runCheck(options: CheckOptions, how: 'load' | 'strip'): Promise<Finding> {
  const { config, dir, entry, format, signal, limit = LIMIT } = options
  const tmp = await realpath(await mkdtemp(join(tmpdir(), 'sluice-check-')))
  try {
    const node = ['--permission', '--no-warnings']
    const allowed = [`--allow-fs-read=${dir}`, `--allow-fs-read=${PROGRAM}`]
    const own = [`--allow-fs-read=${tmp}`, `--allow-fs-write=${tmp}`]
    const child = spawn(process.execPath, [...node, ...allowed, ...own, PROGRAM, join(dir, entry), how], {
      cwd: dir,
      env: { ...config, ...platformEnv(format, tmp) },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      timeout: limit,
      killSignal: 'SIGKILL',
      signal,
    })
    const ended = new Promise<NodeJS.Signals | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (_code, killer) => resolve(killer))
    })
    const [killer, lines] = await Promise.all([ended, text(child.stdio[3] as Readable)])
    return readFinding(lines, killer !== null)
  } finally {
    await rm(tmp, { recursive: true, force: true })
  }
}

const platformEnv = (format: Format, tmp: string) => ({
  FN_FORMAT: format,
  FN_LISTENER: `unix:${join(tmp, 'lsnr.sock')}`,
  FN_APP_NAME: 'check',
  FN_FN_NAME: 'check',
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: tmp,
  TMPDIR: tmp,
})

function readFinding(text: string, killed: boolean): Finding {
  const lines = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  const last = lines.findLast((line) => 'found' in line || 'error' in line) as Finding | undefined
  if (last) return last
  return { found: killed && !lines.some(({ loaded }) => loaded === true) ? 'late' : 'nothing' }
}

/** Whether a program of the older formats exports its handler; others are the program itself. */
const hasDefaultExport = async ({ dir, entry }: CheckOptions): Promise<boolean> =>
  /\bexport\s+default\b|\bas\s+default\b|\bmodule\.exports\b|\bexports\.default\b/.test(
    await readFile(join(dir, entry), 'utf8'),
  )

/** A machine without the interpreter does not check. */
async function checkScript({ dir, entry, signal }: CheckOptions): Promise<string | undefined> {
  const parse = 'import ast, sys; ast.parse(open(sys.argv[1], "rb").read(), sys.argv[1])'
  const [program, args] = entry.endsWith('.sh')
    ? ['/bin/sh', ['-n', entry]]
    : ['python3', ['-I', '-c', parse, entry]]
  const failure = await failureOf(program, args, dir, signal)
  if (failure !== undefined) {
    const lines = failure.split('\n').filter((line) => !/^Traceback|<string>|ast\.py/.test(line))
    throw new SluiceError('invalid', `${entry} cannot run`, { detail: lines.slice(-5).join('\n').trim() })
  }
  return entry.endsWith('.py')
    ? `${entry} needs a python3 where it runs: the process driver uses the machine's, and the base runtime of sandbox and docker has none`
    : undefined
}

/** What a program says that ends in failure; nothing when it succeeds, or is not there. */
const failureOf = (
  program: string,
  args: readonly string[],
  cwd: string,
  signal: AbortSignal,
): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    execFile(program, args, { cwd, signal, timeout: LIMIT }, (error, _out, words) => {
      if (signal.aborted) reject(signal.reason)
      else resolve(error && typeof error.code === 'number' ? words.trim() : undefined)
    })
  })

const withoutHandler = ({ entry, format }: CheckOptions) =>
  new SluiceError('invalid', `${entry} exports no function as default`, {
    detail:
      format === 'http-stream'
        ? 'write "export default (request) => …"; a web server that listens on PORT takes "format: port" in func.yaml'
        : 'write "export default (request) => …"',
  })

const ended = ({ entry }: CheckOptions, code: number) =>
  new SluiceError('invalid', `${entry} ended with exit code ${code} while it was loaded`, {
    detail: 'see what it asks for at its top level; --no-check deploys it as it is',
  })

const tooSlow = ({ entry, limit = LIMIT }: CheckOptions) =>
  new SluiceError('invalid', `${entry} did not load within ${limit / 1_000} s`, {
    detail: 'see what it waits for at its top level; --no-check deploys it as it is',
  })
