import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'undici'
import { startHelper } from './support/process.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const ROUNDS = 8
const CALLS = 1_500

/** Sequential calls on one connection; milliseconds each. */
async function measure(client: Client, path: string, count: number): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    const { statusCode, body } = await client.request({
      path,
      method: 'POST',
      headers: ['content-type', 'application/json'],
      body: '{"name":"Ada"}',
    })
    await body.text()
    if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`)
    times.push(performance.now() - began)
  }
  return times
}

/** Every hop is a process of its own, on both ways; the rounds are interleaved. */
export const hotCall: Benchmark = {
  question:
    'What does a hot call cost through balancer and node, against two bare relays to the same socket?',
  async run(): Promise<Row[]> {
    const dir = await mkdtemp(join(tmpdir(), 'slb-'))
    try {
      const socket = join(dir, 'fn.sock')
      await using _fn = await startHelper('function.ts', socket)
      await using inner = await startHelper<{ url: string }>('relay.ts', `unix:${socket}`)
      await using outer = await startHelper<{ url: string }>('relay.ts', inner.ready.url)
      await using node = await startHelper<{ url: string; path: string }>('node.ts', socket, dir)
      await using balancer = await startHelper<{ url: string }>('balancer.ts', new URL(node.ready.url).host)
      const ways = {
        oneRelay: { client: new Client(inner.ready.url), path: '/call', times: [] as number[] },
        relays: { client: new Client(outer.ready.url), path: '/call', times: [] as number[] },
        node: { client: new Client(node.ready.url), path: node.ready.path, times: [] as number[] },
        sluice: { client: new Client(balancer.ready.url), path: node.ready.path, times: [] as number[] },
      }
      for (const way of Object.values(ways)) await measure(way.client, way.path, CALLS)
      for (let round = 0; round < ROUNDS; round++) {
        const order = Object.values(ways)
        for (const way of round % 2 === 0 ? order : order.toReversed()) {
          way.times.push(...(await measure(way.client, way.path, CALLS)))
        }
      }
      for (const { client } of Object.values(ways)) await client.close()
      const row = (what: string, share: number, base: number[], own: number[], atMost: number): Row => ({
        what,
        baseline: `${(quantile(base, share) * 1_000).toFixed(0)} µs`,
        measured: `${(quantile(own, share) * 1_000).toFixed(0)} µs`,
        ratio: quantile(own, share) / quantile(base, share),
        atMost,
      })
      return [
        row('p50, balancer + node ÷ two relays', 0.5, ways.relays.times, ways.sluice.times, 1.5),
        row('p50, node alone ÷ one relay', 0.5, ways.oneRelay.times, ways.node.times, 1.6),
      ]
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  },
}
