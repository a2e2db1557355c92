import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'undici'
import { type Helper, startHelper } from './support/process.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const ROUNDS = 8
const CALLS = 1_500
const CONNECTIONS = 8

/** One way to the function: what is called, whose CPU it costs, and what was measured. */
interface Way {
  readonly clients: readonly Client[]
  readonly path: string
  readonly pid: number | undefined
  /** Milliseconds of each call on one connection. */
  readonly times: number[]
  /** CPU milliseconds a call. */
  readonly cpu: number[]
  /** Calls a second over all connections. */
  readonly rates: number[]
}

const open = (url: string | { socketPath: string }, path: string, helper?: Helper<unknown>): Way => ({
  clients: Array.from({ length: CONNECTIONS }, () =>
    typeof url === 'string' ? new Client(url) : new Client('http://localhost', url),
  ),
  path,
  pid: helper?.child.pid,
  times: [],
  cpu: [],
  rates: [],
})

async function call(client: Client, path: string): Promise<void> {
  const { statusCode, body } = await client.request({
    path,
    method: 'POST',
    headers: ['content-type', 'application/json'],
    body: '{"name":"Ada"}',
  })
  await body.text()
  if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`)
}

/** Milliseconds of CPU that a process has used; the kernel counts in hundredths of a second. */
function cpuOf(pid: number | undefined): number {
  if (pid === undefined) return 0
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function measure({ clients, path, pid, times, cpu }: Way, count: number): Promise<void> {
  const before = cpuOf(pid)
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    await call(clients[0] as Client, path)
    times.push(performance.now() - began)
  }
  cpu.push((cpuOf(pid) - before) / count)
}

async function crowd({ clients, path, rates }: Way, count: number): Promise<void> {
  const began = performance.now()
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < count / CONNECTIONS; i++) await call(client, path)
    }),
  )
  rates.push(count / ((performance.now() - began) / 1_000))
}

/** Every hop is a process of its own, on all ways; the rounds are interleaved. */
export const hotCall: Benchmark = {
  question: 'What does a hot call cost through node and balancer, against bare relays to the same socket?',
  note: `Today's Fn, measured elsewhere on such a machine (fnserver 0.3.753, Docker, pausing off, a Node function): it adds
about 500 µs to a call and spends 385 to 634 µs of CPU on it; as it comes, 652 to 815 µs. The relay is \`node:http\` in
front of undici. In the 8-connection row both sides have one container a connection.`,
  async run(): Promise<Row[]> {
    const dir = await mkdtemp(join(tmpdir(), 'slb-'))
    try {
      const socket = join(dir, 'fn.sock')
      await using _fn = await startHelper('function.ts', socket, 'proves')
      const other = join(dir, 'other.sock')
      await using _other = await startHelper('function.ts', other)
      await using inner = await startHelper<{ url: string }>('relay.ts', `unix:${socket}`)
      await using outer = await startHelper<{ url: string }>('relay.ts', inner.ready.url)
      await using node = await startHelper<{ url: string; path: string }>('node.ts', socket, dir)
      await mkdir(join(dir, 'other'))
      await using single = await startHelper<{ url: string; path: string }>(
        'node.ts',
        other,
        join(dir, 'other'),
      )
      await using balancer = await startHelper<{ url: string }>('balancer.ts', new URL(node.ready.url).host)
      const direct = open({ socketPath: socket }, '/call')
      const relay = open(inner.ready.url, '/call', inner)
      const relays = open(outer.ready.url, '/call')
      const alone = open(node.ready.url, node.ready.path, node)
      const both = open(balancer.ready.url, node.ready.path)
      const connecting = open(single.ready.url, single.ready.path, single)
      const ways = [direct, relay, alone, connecting, relays, both]
      for (const way of ways) {
        await measure(way, CALLS)
        await crowd(way, CALLS)
        for (const list of [way.times, way.cpu, way.rates]) list.length = 0
      }
      for (let round = 0; round < ROUNDS; round++) {
        for (const way of round % 2 === 0 ? ways : ways.toReversed()) await measure(way, CALLS)
        for (const way of round % 2 === 0 ? [relay, alone] : [alone, relay]) await crowd(way, CALLS)
      }
      for (const { clients } of ways) for (const client of clients) await client.close()
      const p50 = ({ times }: Way) => quantile(times, 0.5) * 1_000
      const cpu = (way: Way) => (way.cpu.reduce((sum, ms) => sum + ms, 0) / way.cpu.length) * 1_000
      const rate = ({ rates }: Way) => quantile(rates, 0.5)
      const micros = (us: number) => `${us.toFixed(0)} µs`
      const row = (what: string, base: number, own: number, atMost?: number): Row => ({
        what,
        baseline: micros(base),
        measured: micros(own),
        ratio: own / base,
        ...(atMost !== undefined && { atMost }),
      })
      return [
        row(
          `added p50, node ÷ relay (the socket alone: ${micros(p50(direct))})`,
          p50(relay) - p50(direct),
          p50(alone) - p50(direct),
          1.6,
        ),
        row('CPU a call, node ÷ relay', cpu(relay), cpu(alone), 1.6),
        row('p50, a connection a call ÷ a kept one', p50(alone), p50(connecting)),
        row('CPU a call of the node, a connection a call ÷ a kept one', cpu(alone), cpu(connecting)),
        {
          what: 'calls a second on 8 connections, relay ÷ node',
          baseline: `${rate(relay).toFixed(0)}/s`,
          measured: `${rate(alone).toFixed(0)}/s`,
          ratio: rate(relay) / rate(alone),
          atMost: 1.67,
        },
        row('p50, balancer + node ÷ two relays', p50(relays), p50(both), 1.5),
      ]
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  },
}
