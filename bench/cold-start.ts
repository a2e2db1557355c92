import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../src/core/clock.ts'
import { processDriver } from '../src/drivers/process/process.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const RUNS = 15
const BOOTSTRAP = fileURLToPath(new URL('../src/fdk/bootstrap.cjs', import.meta.url))
const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url))
const FDK = fileURLToPath(new URL('../node_modules/@fnproject/fdk', import.meta.url))

/** One call to a function's socket, tried again until somebody listens. */
async function firstAnswer(socketPath: string): Promise<void> {
  for (;;) {
    const answered = await new Promise<boolean>((resolve) => {
      const headers = {
        'fn-call-id': 'BENCH',
        'fn-deadline': '2099-01-01T00:00:00Z',
        'content-type': 'application/json',
      }
      request({ socketPath, path: '/call', method: 'POST', headers }, (res) => {
        res.resume().on('end', () => resolve(res.statusCode === 200))
      })
        .on('error', () => resolve(false))
        .end('{"name":"Ada"}')
    })
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Milliseconds from spawn to the first answer, without any driver. */
async function plain(args: readonly string[], cwd: string): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'slp-'))
  const socket = join(dir, 'lsnr.sock')
  const began = performance.now()
  const child = spawn(process.execPath, args, {
    cwd,
    stdio: 'ignore',
    env: { FN_LISTENER: `unix:${socket}`, FN_FORMAT: 'http-stream', PATH: process.env['PATH'] },
  })
  await firstAnswer(socket)
  const took = performance.now() - began
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  await rm(dir, { recursive: true, force: true })
  return took
}

export const coldStart: Benchmark = {
  question: 'What does a cold start of the process driver cost, against a plain spawn of the same program?',
  async run(): Promise<Row[]> {
    const temp = await mkdtemp(join(tmpdir(), 'slc-'))
    const fdkDir = join(temp, 'hello-fdk')
    await cp(example('hello-fdk'), fdkDir, { recursive: true })
    await mkdir(join(fdkDir, 'node_modules/@fnproject'), { recursive: true })
    await cp(FDK, join(fdkDir, 'node_modules/@fnproject/fdk'), { recursive: true })
    const dataDir = join(temp, 'state')
    await mkdir(dataDir)
    const driver = await processDriver({
      dataDir,
      node: process.execPath,
      bootstrap: BOOTSTRAP,
      clock: systemClock,
    })
    const never = new AbortController().signal
    let made = 0
    const driven = async (dir: string): Promise<number> => {
      const began = performance.now()
      await using cookie = await driver.prepare(
        {
          id: `bench-${++made}`,
          mode: 'hot',
          source: { kind: 'bundle', dir },
          env: { FN_FORMAT: 'http-stream' },
          labels: {},
          memory: 128 * 1024 * 1024,
          cpus: 0,
          pids: 0,
          tmpfsSize: 0,
          network: 'none',
          startTimeout: 30_000,
          timeout: 0,
        },
        never,
      )
      const container = await cookie.run(never)
      container.stdout.resume()
      container.stderr.resume()
      await firstAnswer(container.socket as string)
      const took = performance.now() - began
      await container.stop('killed')
      return took
    }
    try {
      const cases = [
        { what: 'unmodified FDK function', dir: fdkDir, args: [join(fdkDir, 'func.js')] },
        { what: 'TypeScript handler', dir: example('hello-ts'), args: [BOOTSTRAP, example('hello-ts')] },
      ].map((one) => ({ ...one, plain: [] as number[], driven: [] as number[] }))
      for (const { dir, args } of cases) {
        await plain(args, dir)
        await driven(dir)
      }
      for (let run = 0; run < RUNS; run++) {
        for (const one of cases) {
          one.plain.push(await plain(one.args, one.dir))
          one.driven.push(await driven(one.dir))
        }
      }
      return cases.map(({ what, plain, driven }) => ({
        what: `${what}, median of ${RUNS}`,
        baseline: `${quantile(plain, 0.5).toFixed(0)} ms`,
        measured: `${quantile(driven, 0.5).toFixed(0)} ms`,
        ratio: quantile(driven, 0.5) / quantile(plain, 0.5),
        atMost: 1.3,
      }))
    } finally {
      await driver[Symbol.asyncDispose]()
      await rm(temp, { recursive: true, force: true })
    }
  },
}
