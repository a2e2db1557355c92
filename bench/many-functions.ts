import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Pool } from 'undici'
import { startHelper } from './support/process.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

interface Ready {
  readonly url: string
  readonly paths: readonly string[]
}

/** Functions that a node knows; those of them that are hot; calls measured. */
const KNOWN = 10_000
const HOT = 1_000
const CALLS = 3_000
const ROUNDS = 5
/** Containers that are busy on a full node; functions that wait for room there. */
const BUSY = 100
const WAITING = 1_000

interface Way {
  readonly client: Client
  readonly paths: readonly string[]
  /** Milliseconds of each call. */
  readonly times: number[]
}

async function call(client: Client, path: string): Promise<number> {
  const began = performance.now()
  const { statusCode, body } = await client.request({ path, method: 'POST', body: 'x' })
  await body.text()
  if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`)
  return performance.now() - began
}

interface Load {
  readonly run: number
  readonly queue: number
}

/** Fills a node: long calls in all containers but that of the first function, then others that wait. */
async function fill(url: string, paths: readonly string[], waiting: number): Promise<AsyncDisposable> {
  const crowd = new Pool(url, { connections: BUSY + waiting + 1 })
  const load = async (): Promise<Load> => {
    const { body } = await crowd.request({ path: '/node/load', method: 'GET' })
    return (await body.json()) as Load
  }
  const send = async (some: readonly string[], isThere: (load: Load) => boolean) => {
    for (const path of some) crowd.request({ path, method: 'POST', body: 'slow' }).catch(() => {}) // until the node goes
    while (!isThere(await load())) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await send(paths.slice(1, 1 + BUSY), ({ run }) => run === BUSY)
  await send(paths.slice(1 + BUSY, 1 + BUSY + waiting), ({ queue }) => queue === waiting)
  return { [Symbol.asyncDispose]: () => crowd.destroy() }
}

/** KiB of memory that a process holds. */
const residentOf = (pid: number | undefined): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/**
 * Memory: a node on the mock driver, whose containers are in its process. Time: nodes whose containers are elsewhere,
 * as real ones are, so that only the node's own work with many functions is compared.
 */
export const manyFunctions: Benchmark = {
  question: 'What do many functions cost a node: memory for each hot one, and time for every call?',
  async run(): Promise<Row[]> {
    const dir = await mkdtemp(join(tmpdir(), 'slb-'))
    await using stack = new AsyncDisposableStack()
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const start = async (...args: string[]) => {
      const helper = stack.use(await startHelper<Ready>('many-node.ts', ...args))
      const client = new Client(helper.ready.url)
      stack.defer(() => client.close())
      const way: Way = { client, paths: helper.ready.paths.slice(0, HOT), times: [] }
      return { ...way, child: helper.child, ready: helper.ready }
    }

    const mock = await start(String(HOT))
    const settle = async () => {
      mock.child.send('collect')
      await once(mock.child, 'message')
      return residentOf(mock.child.pid)
    }
    for (let i = 0; i < 500; i++) await call(mock.client, mock.paths[i % 10] as string) // what warming up costs once
    const before = await settle()
    for (let i = 10; i < HOT; i++) await call(mock.client, mock.paths[i] as string)
    const after = await settle()

    const socket = join(dir, 'fn.sock')
    stack.use(await startHelper('function.ts', socket))
    const large = await start(String(KNOWN), socket)
    const small = await start('1', socket)
    for (let round = 0; round < ROUNDS; round++)
      for (const { client, paths, times } of round % 2 ? [large, small] : [small, large])
        for (let i = 0; i < HOT + CALLS; i++) {
          const ms = await call(client, paths[(i * 7) % paths.length] as string)
          // Idle connections may have been closed meanwhile: the first of each is not counted.
          if (round > 0 && i >= HOT) times.push(ms)
        }

    const crowded: Way[] = []
    for (const waiting of [1, WAITING]) {
      const way = await start(String(1 + BUSY + WAITING), 'full')
      const { url, paths } = way.ready
      await call(way.client, paths[0] as string)
      stack.use(await fill(url, paths, waiting))
      crowded.push(way)
    }
    for (let round = 0; round < ROUNDS; round++)
      for (const { client, paths, times } of round % 2 ? crowded.toReversed() : crowded)
        for (let i = 0; i < HOT; i++) {
          const ms = await call(client, paths[0] as string)
          if (round > 0) times.push(ms)
        }
    const [alone, crowd] = crowded as [Way, Way]
    const each = (after - before) / (HOT - 10)
    const p50 = ({ times }: Way) => quantile(times, 0.5) * 1_000
    return [
      {
        what: `resident memory for each of ${HOT} hot functions ÷ the limit`,
        baseline: '150 KiB',
        measured: `${each.toFixed(0)} KiB`,
        ratio: each / 150,
        atMost: 1,
      },
      {
        what: `p50 with ${KNOWN.toLocaleString('en')} functions known and ${HOT.toLocaleString('en')} hot ÷ with one`,
        baseline: `${p50(small).toFixed(0)} µs`,
        measured: `${p50(large).toFixed(0)} µs`,
        ratio: p50(large) / p50(small),
        atMost: 1.2,
      },
      {
        what: `p50 of one more call while ${WAITING.toLocaleString('en')} functions wait and ${BUSY} containers are busy ÷ while one waits`,
        baseline: `${p50(alone).toFixed(0)} µs`,
        measured: `${p50(crowd).toFixed(0)} µs`,
        ratio: p50(crowd) / p50(alone),
        atMost: 1.5,
      },
    ]
  },
}
