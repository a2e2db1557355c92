import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** How many it may open. @default what this process may */
  readonly descriptors?: number
  /** Milliseconds after which it is killed. @default 60000 */
  readonly limit?: number
}

/** Runs the command line to its end, as a process of its own. */
export async function sluice(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = launch(args, options)
  const timer = setTimeout(() => child.kill('SIGKILL'), options.limit ?? 60_000)
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  child.stdin?.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { code: code ?? -1, stdout: stdout(), stderr: stderr() }
}

/** A role that runs as a process of its own. Disposing it stops it, by force if need be. */
export interface Role extends AsyncDisposable {
  readonly pid: number
  /** What `--json` printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>> & { readonly url: string; readonly adminUrl: string }
  /** What it has logged so far. */
  readonly log: () => string
  /** Sends a signal and resolves to the exit code, or -1 after a signal ended it. */
  readonly end: (signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL') => Promise<number>
}

/** Starts `sluice start|node|balancer … --json` and waits until it says where it listens. */
export async function startRole(args: readonly string[], options: CliOptions = {}): Promise<Role> {
  const child = launch([...args, '--json'], options)
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const exited = once(child, 'close') as Promise<[number | null]>
  const line = await new Promise<string>((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`not ready after 30 s: ${stderr()}`)), 30_000)
    child.stdout?.on('data', () => {
      if (!stdout().includes('\n')) return
      clearTimeout(limit)
      resolve(stdout().split('\n')[0] as string)
    })
    exited.then(([code]) => reject(new Error(`ended with ${code} before it was ready: ${stderr()}`)), reject)
  }).catch((error) => {
    child.kill('SIGKILL')
    throw error
  })
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    return (await exited)[0] ?? -1
  }
  return {
    pid: child.pid as number,
    ready: JSON.parse(line),
    log: stderr,
    end,
    async [Symbol.asyncDispose]() {
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await end('SIGTERM')
      clearTimeout(force)
    },
  }
}

function launch(args: readonly string[], { cwd, descriptors, env }: CliOptions): ChildProcess {
  const base = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(FN_|LOG_LEVEL)/.test(name)),
  )
  const line = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...args]
  // Node raises the soft limit to the hard one, so it is both.
  const limited =
    descriptors === undefined ? [] : ['sh', '-c', 'ulimit -n "$0" && exec "$@"', `${descriptors}`]
  const [program, ...rest] = [...limited, ...line] as [string, ...string[]]
  return spawn(program, rest, {
    ...(cwd !== undefined && { cwd }),
    env: { ...base, NO_COLOR: '1', ...env },
    stdio: 'pipe',
  })
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}
