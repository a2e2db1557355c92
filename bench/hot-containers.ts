import { Client } from 'undici'
import { engineHost, openDocker, openFolder, openForBench } from './support/drivers.ts'
import { makePrograms } from './support/programs.ts'
import { type Started, startDriven, startPlain } from './support/starts.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const ROUNDS = 8
const CALLS = 1_000

/** Sequential calls on one connection; milliseconds each. */
async function measure(client: Client): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < CALLS; i++) {
    const began = performance.now()
    const headers = [
      'content-type',
      'application/json',
      'fn-call-id',
      'BENCH',
      'fn-deadline',
      '2099-01-01T00:00:00Z',
    ]
    const { statusCode, body } = await client.request({
      path: '/call',
      method: 'POST',
      headers,
      body: '{"name":"Ada"}',
    })
    await body.text()
    if (statusCode !== 200) throw new Error(`the function answered ${statusCode}`)
    times.push(performance.now() - began)
  }
  return times
}

export const hotContainers: Benchmark = {
  question:
    'Does it matter to a hot call what its container was made by? (the same FDK function, one connection each)',
  async run(): Promise<Row[]> {
    await using folder = await openFolder()
    await using stack = new AsyncDisposableStack()
    const { fdk } = makePrograms(folder.path)
    const ways: { name: string; started: Started }[] = [
      { name: 'plain spawn', started: stack.use(await startPlain(fdk)) },
    ]
    for (const name of ['process', 'sandbox'] as const) {
      const driver = stack.use(await openForBench(name, folder.path))
      ways.push({ name, started: stack.use(await startDriven(driver, fdk)) })
    }
    const host = engineHost()
    if (host !== undefined) {
      const driver = stack.use(await openDocker(host, folder.path, 0))
      ways.push({ name: 'docker', started: stack.use(await startDriven(driver, fdk)) })
    }
    const runners = ways.map(({ name, started }) => ({
      name,
      client: new Client('http://localhost', { socketPath: started.socket }),
      times: [] as number[],
    }))
    for (const { client } of runners) await measure(client)
    for (let round = 0; round < ROUNDS; round++)
      for (const { client, times } of round % 2 ? runners : runners.toReversed())
        times.push(...(await measure(client)))
    for (const { client } of runners) await client.close()
    const [plain, ...driven] = runners.map(({ name, times }) => ({ name, p50: quantile(times, 0.5) }))
    return driven.map(({ name, p50 }) => ({
      what: `p50, ${name} ÷ plain spawn`,
      baseline: `${((plain?.p50 ?? 0) * 1_000).toFixed(0)} µs`,
      measured: `${(p50 * 1_000).toFixed(0)} µs`,
      ratio: p50 / (plain?.p50 ?? 0),
    }))
  },
}
