import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type Balancer, type BalancerOptions, startBalancer } from '../../src/balancer/balancer.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { seededRandom } from '../../src/core/random.ts'
import { type FakeNode, fakeNode } from './fake-node.ts'

export interface Rig extends AsyncDisposable {
  readonly balancer: Balancer
  /** Sorted by name, as `fnlb` sorts them. */
  readonly nodes: readonly FakeNode[]
}

/** A balancer before `count` fake nodes. */
export async function balancerRig(count: number, options: Partial<BalancerOptions> = {}): Promise<Rig> {
  await using undo = new AsyncDisposableStack()
  const nodes: FakeNode[] = []
  for (let i = 0; i < count; i++) nodes.push(undo.use(await fakeNode()))
  nodes.sort((a, b) => (a.name < b.name ? -1 : 1))
  const balancer = undo.use(await testBalancer({ nodes: nodes.map(({ name }) => name), ...options }))
  const hold = undo.move()
  return { balancer, nodes, [Symbol.asyncDispose]: () => hold.disposeAsync() }
}

export const testBalancer = (options: Partial<BalancerOptions>): Promise<Balancer> =>
  startBalancer({
    nodes: [],
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    token: undefined,
    version: '1.2.3',
    ...options,
  })

export interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly trailers: NodeJS.Dict<string>
  readonly body: Buffer
  readonly text: string
}

export interface Sent {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  /** Sends a body without a length. */
  readonly chunked?: boolean
  readonly signal?: AbortSignal
}

/** One request over a connection of its own; rejects when the answer is not whole. */
export function send(
  url: string,
  { method = 'GET', headers, body, chunked, signal }: Sent = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const framing = body === undefined || chunked ? {} : { 'Content-Length': `${Buffer.byteLength(body)}` }
    const all = { 'User-Agent': 'test', ...framing, ...headers }
    const req = httpRequest(url, { method, headers: all, agent: false, ...(signal && { signal }) }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => {
        const whole = Buffer.concat(chunks)
        const { statusCode: status = 0, headers, rawHeaders, trailers } = res
        resolve({ status, headers, rawHeaders, trailers, body: whole, text: whole.toString() })
      })
    })
    req.on('error', reject)
    if (body !== undefined && chunked) req.write(body)
    req.end(chunked ? undefined : body)
  })
}

/** Writes bytes as they are and collects what comes back until the other side closes. */
export function sendRaw(url: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text))
    let got = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      got += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(got))
  })
}
