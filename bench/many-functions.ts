import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Client } from 'undici'
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
const ROUNDS = 4

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

/** KiB of memory that a process holds. */
const residentOf = (pid: number | undefined): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** One node on the mock driver in a process of its own, whose containers are in that process too. */
export const manyFunctions: Benchmark = {
  question: 'What do many functions cost a node: memory for each hot one, and time for every call?',
  async run(): Promise<Row[]> {
    await using many = await startHelper<Ready>('many-node.ts', String(KNOWN))
    await using one = await startHelper<Ready>('many-node.ts', '1')
    const open = ({ url, paths }: Ready): Way => ({
      client: new Client(url),
      paths: paths.slice(0, HOT),
      times: [],
    })
    const [large, small] = [open(many.ready), open(one.ready)]
    const settle = async () => {
      many.child.send('collect')
      await once(many.child, 'message')
      return residentOf(many.child.pid)
    }
    for (let i = 0; i < 500; i++) await call(large.client, large.paths[i % 10] as string) // what warming up costs once
    const before = await settle()
    for (let i = 10; i < HOT; i++) await call(large.client, large.paths[i] as string)
    const after = await settle()
    for (const { client, paths } of [large, small])
      for (let i = 0; i < CALLS; i++) await call(client, paths[i % paths.length] as string)
    for (let round = 0; round < ROUNDS; round++)
      for (const { client, paths, times } of round % 2 ? [large, small] : [small, large])
        for (let i = 0; i < CALLS; i++)
          times.push(await call(client, paths[(i * 7) % paths.length] as string))
    for (const { client } of [large, small]) await client.close()
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
    ]
  },
}
