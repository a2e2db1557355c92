import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Docker } from './docker-client.ts'
import { tempDir } from './temp.ts'
import { until } from './until.ts'

/** A Docker engine of a test's own, which may go away. */
export interface EngineProcess {
  readonly host: string
  /** Its folder, with a short path. */
  readonly dir: string
  readonly docker: Docker
  /** Starts it again, and waits until it answers. */
  start(): Promise<void>
  /** Asks it to end, which ends its containers first. */
  stop(): Promise<void>
  /** Ends it there and then, and with it its containerd. Its containers run on, with nobody to ask about them. */
  kill(): Promise<void>
}

const STARTS_WITHIN = 40_000

/** Needs root. All of it is ended after the test, also after one that took too long. */
export async function startEngine(t: TestContext): Promise<EngineProcess> {
  const temp = await tempDir()
  const dir = temp.path
  const host = `unix://${join(dir, 's')}`
  const docker = new Docker(host)
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
  t.after(async () => {
    await end('SIGTERM')
    for (const pid of processesOf(dir)) for (const each of [...childrenOf(pid), pid]) killNow(each)
    unmountBelow(dir)
    await temp[Symbol.asyncDispose]()
  })
  await start()
  return {
    host,
    dir,
    docker,
    start,
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL')
      // The next one would take what still dies, or is dead and was not waited for, for a containerd to use.
      await until('containerd to end', () => processesOf(dir, 'containerd').length === 0)
      await rm(join(dir, 'x/containerd/containerd.pid'))
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

/** Of a shim: its container. */
const childrenOf = (pid: number): number[] =>
  read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {} // it is gone
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
