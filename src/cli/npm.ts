import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { SluiceError } from '../core/errors.ts'

const LIMIT = 600_000
const QUIET = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']

export interface InstallOptions {
  /** Whether the folder has a package-lock.json or npm-shrinkwrap.json. */
  readonly locked: boolean
  readonly signal: AbortSignal
  /** npm's own words, when it failed. */
  readonly onOutput: (line: string) => void
  /** @default the process's own */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/**
 * Installs a folder's dependencies for running it, without their scripts, in at most ten minutes.
 * @throws SluiceError `invalid` when npm fails or is missing; the signal's reason when aborted
 */
export async function installDependencies(dir: string, options: InstallOptions): Promise<void> {
  const { signal, env } = options
  const how = options.locked ? ['ci'] : ['install', '--package-lock=false']
  const args = [...how, '--omit=dev', '--ignore-scripts', ...QUIET]
  const npm = spawn('npm', args, {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    timeout: LIMIT,
    ...(env && { env: { ...env } }),
  })
  const ended = new Promise<number | string>((resolve, reject) => {
    npm.once('error', (error) => npm.pid ?? reject(error)) // one that runs is waited for, also when aborted
    npm.once('close', (code, killer) => resolve(code ?? killer ?? 'no exit code'))
  })
  const [end, out, err] = await Promise.all([ended, text(npm.stdout), text(npm.stderr)]).catch((error) => {
    signal.throwIfAborted()
    throw new SluiceError('invalid', 'npm could not be started', {
      cause: error,
      detail: `${error.message}; install Node.js with npm, or remove the dependencies from package.json`,
    })
  })
  signal.throwIfAborted()
  if (end === 0) return
  for (const line of `${out}${err}`.trimEnd().split('\n').slice(-40)) options.onOutput(line)
  throw new SluiceError('invalid', `npm ${how[0]} failed`, {
    detail:
      end === 'SIGTERM'
        ? 'it took longer than ten minutes'
        : `${typeof end === 'number' ? `exit code ${end}` : end}; npm's own words are above`,
  })
}
