import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { type Clock, sleep } from '../../core/clock.ts'
import type { Container, ContainerSpec, RunResult } from '../driver.ts'

export const never: AbortSignal = new AbortController().signal

/** Every process of a container of these tests has it in its environment, so that one left behind is found. */
const MARK = `SLUICE_CONTRACT=${process.pid}`

/** Of exits that mean something elsewhere, and must mean nothing here. */
export const EXIT_CODES = [0, 1, 2, 3, 7, 126, 127, 137, 143, 255] as const

/** What `functions/frames` writes. */
export const FRAME_SIZES = [1, 4_095, 4_096, 4_097, 32_767, 32_769, 70_000, 8, 3] as const

let made = 0
let functions: string | undefined

/** The folder of one of the bundles beside this file. */
export function bundleOf(name: string): string {
  functions ??= findFunctions(join(import.meta.dirname, 'functions'))
  return join(functions, name)
}

/** Node runs no TypeScript under node_modules, so there a copy is made, until this process ends. */
function findFunctions(dir: string): string {
  if (!dir.split(sep).includes('node_modules')) return dir
  const copy = mkdtempSync(join(tmpdir(), 'sl-'))
  process.once('exit', () => rmSync(copy, { recursive: true, force: true }))
  cpSync(dir, copy, { recursive: true })
  chmodSync(copy, 0o755)
  return copy
}

/** A container of one of the bundles beside this file. */
export function specOf(name: string, changes: Partial<ContainerSpec> = {}): ContainerSpec {
  const [key, value] = MARK.split('=') as [string, string]
  return {
    id: `contract-${process.pid}-${++made}`,
    mode: 'hot',
    source: { kind: 'bundle', dir: bundleOf(name) },
    labels: {},
    memory: 128 * 1024 ** 2,
    cpus: 0,
    pids: 0,
    tmpfsSize: 0,
    network: 'none',
    startTimeout: 60_000,
    timeout: 0,
    ...changes,
    env: { FN_FORMAT: 'http-stream', FN_APP_NAME: 'app', FN_FN_NAME: name, [key]: value, ...changes.env },
  }
}

/** The bundle of an unmodified program on the Node FDK: the FDK is installed in it, as `deploy` would. */
export async function fdkBundle(): Promise<(AsyncDisposable & { readonly dir: string }) | undefined> {
  const fdk = findFdk()
  if (fdk === undefined) return undefined
  const dir = await mkdtemp(join(tmpdir(), 'sl-'))
  await chmod(dir, 0o755)
  await cp(bundleOf('fdk'), dir, { recursive: true })
  await cp(fdk, join(dir, 'node_modules', '@fnproject', 'fdk'), { recursive: true, dereference: true })
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}

function findFdk(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('@fnproject/fdk/package.json'))
  } catch {
    return undefined
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Sends a container one call on a connection of its own, which is closed when this resolves. */
export function call(
  container: Pick<Container, 'socket'>,
  body = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({
      socketPath: container.socket as string,
      method: 'POST',
      path: '/call',
      headers: { Host: 'localhost', Connection: 'close', ...headers },
      agent: false,
    })
    req.on('error', reject)
    req.on('response', async (res) => {
      const closed = new Promise((done) => req.once('close', done))
      try {
        const answer = await text(res)
        await closed
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: answer })
      } catch (error) {
        reject(error)
      }
    })
    req.end(body)
  })
}

export interface Ran {
  readonly result: RunResult
  readonly stdout: string
  readonly stderr: string
}

/** Gives a cold container its input, reads all of its output and waits for its end. */
export async function complete(container: Container, input = ''): Promise<Ran> {
  container.stdin?.end(input)
  const [stdout, stderr, result] = await Promise.all([
    text(container.stdout),
    text(container.stderr),
    container.ended,
  ])
  return { result, stdout, stderr }
}

export async function sizeOf(stream: Readable): Promise<number> {
  return (await buffer(stream)).byteLength
}

/** Reads a stream, and tells whether anything comes. */
export function flowOf(stream: Readable): {
  /** Resolves once more has come than by now. */
  grows(clock: Clock): Promise<void>
  /** Resolves once nothing has come for a fifth of a second. */
  still(clock: Clock): Promise<void>
} {
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const wait = async (clock: Clock, what: string, ms: number, holds: (before: number) => boolean) => {
    const end = clock.now() + 10_000
    for (let before = bytes; ; before = bytes) {
      await sleep(clock, ms)
      if (holds(before)) return
      if (clock.now() > end) throw new Error(`the output never ${what}`)
    }
  }
  return {
    grows: (clock) => wait(clock, 'went on', 20, (before) => bytes > before),
    still: (clock) => wait(clock, 'stood still', 200, (before) => bytes === before),
  }
}

/** Watches by how much this process grows from now on. */
export function growthOf(clock: Clock): { end(): number } {
  const before = process.memoryUsage.rss()
  let most = 0
  let timer: Disposable
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss() - before)
    timer = clock.after(20, look)
  }
  look()
  return {
    end() {
      timer[Symbol.dispose]()
      return most
    },
  }
}

/** The environment that a process was started with. */
export function environmentOf(pid: number | 'self'): Record<string, string> {
  const variables = read(`/proc/${pid}/environ`).split('\0').filter(Boolean)
  return Object.fromEntries(
    variables.map((variable) => {
      const at = variable.indexOf('=')
      return [variable.slice(0, at), variable.slice(at + 1)]
    }),
  )
}

/** The processes of these tests' containers that still run. */
export function processesLeft(): string[] {
  return list('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/environ`).split('\0').includes(MARK))
    .map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`)
}

/** The files, sockets and pipes that this process holds open, but not Node's own inner ones. */
export function descriptors(): string[] {
  return list('/proc/self/fd')
    .map((fd) => target(`/proc/self/fd/${fd}`))
    .filter((path) => path !== '' && !path.startsWith('anon_inode:') && !path.startsWith('/proc/'))
    .sort()
}

/** Those that were opened since `held` was taken, and are open still. */
export function descriptorsSince(held: readonly string[]): string[] {
  const before = [...held]
  return descriptors().filter((path) => {
    const at = before.indexOf(path)
    if (at >= 0) before.splice(at, 1)
    return at < 0
  })
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function target(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
