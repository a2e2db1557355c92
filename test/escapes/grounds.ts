import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type ListenOptions } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { openCgroups } from '../../src/drivers/cgroup/cgroup.ts'
import { complete, never } from '../../src/drivers/contract/support.ts'
import type { Container, ContainerSpec, Driver } from '../../src/drivers/driver.ts'
import { buildRuntime, type Runtime } from '../../src/drivers/runtime/runtime.ts'
import { findBubblewrap } from '../../src/drivers/sandbox/bubblewrap.ts'
import { openSandboxDriver } from '../../src/drivers/sandbox/sandbox.ts'
import { seccompFilter } from '../../src/drivers/sandbox/seccomp.ts'
import { findUplink } from '../../src/drivers/sandbox/uplink.ts'
import { tempDir } from '../support/temp.ts'
import { compile, type Report, reportOf, tryOutside } from './program.ts'

const MIB = 1024 ** 2

/** Another container, which runs while attempts are made. */
export interface Neighbour {
  /** As this machine counts. */
  readonly pid: number
}

/** What there is to get at, and where attempts are made. */
export interface Grounds {
  /** Files outside: one that everybody may read, and one like a node's own. */
  readonly canary: string
  readonly token: string
  /** Listens to those who call this test. */
  readonly ears: Ears
  readonly neighbours: readonly [Neighbour, Neighbour]
  readonly bundle: string
  readonly dataDir: string
  readonly driver: Driver
  /** Makes attempts in a sandbox. */
  inside(attempts: readonly string[], changes?: Partial<ContainerSpec>): Promise<Report>
  /** The same, in one whose calls nobody filters. */
  unfiltered(attempts: readonly string[]): Promise<Report>
  asRoot(attempts: readonly string[]): Promise<Report>
  asUser(attempts: readonly string[]): Promise<Report>
}

export interface Ears {
  readonly path: string
  readonly name: string
  readonly port: number
  /** Who has called so far. */
  readonly calls: () => number
}

export const CANARY_VARIABLE = 'SLUICE_ESCAPE_CANARY'

/** Its owner can do nothing on this machine. */
const NOBODY = 65_534

let made = 0

/** The spec of a container that runs `attempts.c` in a bundle. */
export function specOf(
  bundle: string,
  args: readonly string[],
  changes: Partial<ContainerSpec> = {},
): ContainerSpec {
  return {
    id: `escape-${process.pid}-${++made}`,
    mode: 'cold',
    source: { kind: 'bundle', dir: bundle },
    command: ['./attempts', ...args],
    env: { [MARK]: `${process.pid}` },
    labels: {},
    memory: 128 * MIB,
    cpus: 0,
    pids: 64,
    tmpfsSize: 8 * MIB,
    network: 'none',
    startTimeout: 10_000,
    timeout: 120_000,
    ...changes,
  }
}

/** Tells the processes of this run from others. */
const MARK = 'SLUICE_ESCAPE'

/** Everything is taken away with `held`. */
export async function openGrounds(held: AsyncDisposableStack): Promise<Grounds> {
  process.env[CANARY_VARIABLE] = 'here'
  const { path: temp } = held.use(await tempDir())
  const [dataDir, canary] = [join(temp, 'data'), join(temp, 'canary')]
  await mkdir(dataDir, { mode: 0o711 })
  const token = join(dataDir, 'token')
  await writeFile(canary, 'canary')
  await writeFile(token, 'secret', { mode: 0o600 })
  const bundle = await makeBundle(join(temp, 'bundle'))
  const ears = await listen(held, join(temp, 'ears'))
  const runtime = await buildRuntime({
    dir: join(temp, 'runtime'),
    fdk: join(import.meta.dirname, '../../src/fdk'),
  })
  await makeOpen(runtime.dir)
  const driver = held.use(await openDriver(dataDir, runtime, seccompFilter))
  await mkdir(join(temp, 'unfiltered'), { mode: 0o711 })
  const unfiltered = held.use(await openDriver(join(temp, 'unfiltered'), runtime, () => undefined))
  const program = join(bundle, 'attempts')
  return {
    ...{ canary, token, ears, bundle, dataDir, driver },
    neighbours: [await moveIn(driver, bundle, held), await moveIn(driver, bundle, held)],
    inside: (attempts, changes) => tryInside(driver, bundle, attempts, changes),
    unfiltered: (attempts) => tryInside(unfiltered, bundle, attempts),
    asRoot: (attempts) => tryOutside(program, attempts, { cwd: bundle }),
    asUser: (attempts) => tryOutside(program, attempts, { cwd: bundle, uid: NOBODY, gid: NOBODY }),
  }
}

const openDriver = (dataDir: string, runtime: Runtime, filter: typeof seccompFilter): Promise<Driver> =>
  openSandboxDriver(
    { dataDir, clock: systemClock, runtime },
    { findBubblewrap, findUplink, openCgroups, seccompFilter: filter },
  )

/** A folder that everybody may write, as images have them: only its mount is in the way. */
async function makeOpen(dir: string): Promise<void> {
  await mkdir(join(dir, 'open'))
  await chmod(join(dir, 'open'), 0o777)
}

/** The program, a copy that is to run as root, a device and a folder that is open to all. */
async function makeBundle(dir: string): Promise<string> {
  await mkdir(dir)
  const program = join(dir, 'attempts')
  compile(join(import.meta.dirname, 'attempts.c'), program)
  await chmod(program, 0o755)
  await copyFile(program, join(dir, 'setuid'))
  await chmod(join(dir, 'setuid'), 0o4755)
  const device = join(dir, 'device')
  assert.equal(spawnSync('mknod', ['-m', '666', device, 'c', '1', '5']).status, 0, 'mknod')
  await makeOpen(dir)
  await chmod(dir, 0o755)
  return dir
}

async function listen(held: AsyncDisposableStack, path: string): Promise<Ears> {
  let calls = 0
  const open = async (options: ListenOptions) => {
    const server = createServer((socket) => {
      calls++
      socket.destroy()
    })
    server.listen(options)
    await once(server, 'listening')
    held.defer(() => void server.close())
    return server
  }
  const name = `sluice-escape-${process.pid}`
  await open({ path, readableAll: true, writableAll: true })
  await open({ path: `\0${name}` })
  const tcp = await open({ host: '127.0.0.1', port: 0 })
  return { path, name, port: (tcp.address() as AddressInfo).port, calls: () => calls }
}

/** Starts a container; `held` takes it away. */
export async function start(
  driver: Driver,
  spec: ContainerSpec,
  held: AsyncDisposableStack,
): Promise<Container> {
  return held.use(await held.use(await driver.prepare(spec, never)).run(never))
}

async function tryInside(
  driver: Driver,
  bundle: string,
  attempts: readonly string[],
  changes?: Partial<ContainerSpec>,
): Promise<Report> {
  await using held = new AsyncDisposableStack()
  const container = await start(driver, specOf(bundle, attempts, changes), held)
  const { stdout, stderr } = await complete(container)
  return reportOf(attempts, stdout, stderr)
}

async function moveIn(driver: Driver, bundle: string, held: AsyncDisposableStack): Promise<Neighbour> {
  const env = { [MARK]: `${process.pid}-${made}` }
  const container = await start(driver, specOf(bundle, ['-neighbour'], { env }), held)
  container.stderr.resume()
  const [line] = await once(container.stdout, 'data', { signal: AbortSignal.timeout(10_000) })
  assert.equal(`${line}`, 'ready\n')
  const pid = processes().find((pid) => read(`/proc/${pid}/environ`).includes(`${MARK}=${env[MARK]}\0`))
  assert.ok(pid, 'the neighbour has a process')
  return { pid }
}

const processes = (): number[] => readdirSync('/proc').map(Number).filter(Boolean)

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
