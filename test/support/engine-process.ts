import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import Dockerode from 'dockerode'
import { until } from './until.ts'

/** A Docker engine of a test's own, which may go away. Disposing it ends all of it. */
export interface EngineProcess extends AsyncDisposable {
  readonly host: string
  readonly docker: Dockerode
  /** Starts it again, and waits until it answers. */
  start(): Promise<void>
  /** Asks it to end, which ends its containers first. */
  stop(): Promise<void>
  /** Ends it there and then, and with it its containerd. Its containers run on, with nobody to ask about them. */
  kill(): Promise<void>
}

const STARTS_WITHIN = 40_000

/** In a folder with a short path. Needs root. */
export async function startEngine(dir: string): Promise<EngineProcess> {
  const socketPath = join(dir, 's')
  const host = `unix://${socketPath}`
  const docker = new Dockerode({ socketPath, host: undefined } as object)
  let child: ChildProcess | undefined

  const start = async () => {
    const places = { 'data-root': 'data', 'exec-root': 'x', pidfile: 'p' }
    const args = Object.entries(places).map(([name, place]) => `--${name}=${join(dir, place)}`)
    child = spawn('dockerd', [...args, '-H', host, '--iptables=false', '--bridge=none'], { stdio: 'ignore' })
    await until('dockerd', () => docker.ping().then(Boolean, () => false), STARTS_WITHIN)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
  await start()
  return {
    host,
    docker,
    start,
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL')
      // The next one would take what still dies, or is dead and was not waited for, for a containerd to use.
      await until('containerd to end', () => processesOf(dir, 'containerd').length === 0)
      await rm(join(dir, 'x/containerd/containerd.pid'))
    },
    async [Symbol.asyncDispose]() {
      await end('SIGTERM')
      for (const pid of processesOf(dir)) process.kill(pid, 'SIGKILL')
      unmountBelow(dir)
    },
  }
}

/** Ids of what an engine started and left: its containerd, and the shims that hold its containers. */
function processesOf(dir: string, name?: string): number[] {
  const commands = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => ({ pid: Number(pid), argv: read(`/proc/${pid}/cmdline`).split('\0') }))
  return commands
    .filter(({ argv }) => argv.some((arg) => arg.startsWith(`${dir}/`)))
    .filter(({ argv: [program] }) => name === undefined || program?.split('/').at(-1) === name)
    .map(({ pid }) => pid)
}

function unmountBelow(dir: string): void {
  const mounts = read('/proc/mounts')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((path) => path.startsWith(`${dir}/`)).reverse())
    execFileSync('umount', ['-l', mount])
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // the process is gone
  }
}
