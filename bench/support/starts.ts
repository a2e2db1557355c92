import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Container, ContainerSpec, Cookie, Driver } from '../../src/drivers/driver.ts'
import type { Program } from './programs.ts'
import { firstAnswer } from './socket.ts'

export const never: AbortSignal = new AbortController().signal

/** A program that has answered its first call. Disposing it ends it. */
export interface Started extends AsyncDisposable {
  /** Milliseconds from nothing to the first answer. */
  readonly took: number
  readonly socket: string
}

/** Without any driver: a child process. */
export async function startPlain({ argv, dir: cwd }: Program): Promise<Started> {
  const dir = await mkdtemp(join(tmpdir(), 'slp-'))
  const socket = join(dir, 'lsnr.sock')
  const began = performance.now()
  const [file, ...args] = argv as [string, ...string[]]
  const env = { FN_LISTENER: `unix:${socket}`, FN_FORMAT: 'http-stream', PATH: process.env['PATH'] }
  const child = spawn(file, args, { cwd, stdio: 'ignore', env })
  await firstAnswer(socket)
  return {
    took: performance.now() - began,
    socket,
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      await rm(dir, { recursive: true, force: true })
    },
  }
}

let made = 0

export const specOf = ({ dir, file, stripped }: Program): ContainerSpec => ({
  id: `bench-${process.pid}-${++made}`,
  mode: 'hot',
  source: { kind: 'bundle', dir, ...(stripped !== undefined && { stripped }) },
  ...(file !== undefined && { command: [`./${file}`] }),
  env: { FN_FORMAT: 'http-stream' },
  labels: {},
  memory: 128 * 1024 * 1024,
  cpus: 0,
  pids: 0,
  tmpfsSize: 0,
  network: 'none',
  startTimeout: 60_000,
  timeout: 0,
})

/** A container that is ready and has not been called; its output is read and dropped. */
export async function startContainer(
  driver: Driver,
  program: Program,
): Promise<{ cookie: Cookie; container: Container }> {
  const cookie = await driver.prepare(specOf(program), never)
  try {
    const container = await cookie.run(never)
    container.stdout.resume()
    container.stderr.resume()
    return { cookie, container }
  } catch (error) {
    await cookie[Symbol.asyncDispose]()
    throw error
  }
}

export async function startDriven(driver: Driver, program: Program): Promise<Started> {
  const began = performance.now()
  const { cookie, container } = await startContainer(driver, program)
  const socket = container.socket as string
  await firstAnswer(socket)
  return {
    took: performance.now() - began,
    socket,
    [Symbol.asyncDispose]: () => cookie[Symbol.asyncDispose](),
  }
}
