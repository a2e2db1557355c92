import { rm } from 'node:fs/promises'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Clock, sleep, systemClock } from '../../core/clock.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import {
  BOUNDARIES,
  type Capabilities,
  type ContainerSpec,
  type Driver,
  DriverError,
  LIMITS,
  NETWORKS,
  type RunResult,
  SPEC_OPTIONS,
  type Stat,
  type StopReason,
} from '../driver.ts'
import { driverOf, type Running, type RunningOutput } from '../lifecycle.ts'
import { type Measurements, measure } from '../measurements.ts'
import { makeShortDir, type PinnedSocket } from '../socket.ts'

export interface MockOptions {
  /** @default the system's */
  readonly clock?: Clock
  /** Passed to every latency, so that a seed decides them all. @default the system's */
  readonly random?: Random
  /** Milliseconds a container takes to prepare. @default 0 */
  readonly prepareMs?: Latency
  /** Milliseconds a container takes to become ready. @default 0 */
  readonly startMs?: Latency
  /** Milliseconds a call takes before it is answered. @default 0 */
  readonly callMs?: number | ((request: MockRequest, random: Random) => number)
  /** What a call answers. @default its own body */
  readonly answer?: (request: MockRequest) => MockAnswer
  /** Every so many runs, one fails as the mock of 2017 did (there: 100). @default none */
  readonly failEvery?: number
}

export type Latency = number | ((random: Random) => number)

export interface MockRequest {
  readonly spec: ContainerSpec
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface MockAnswer {
  /** @default 200 */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body: string | Uint8Array
}

/** It pretends to keep limits and to be off the network: nothing runs that could break them. */
const CAPABILITIES: Capabilities = {
  isolation: 'none',
  isolates: BOUNDARIES,
  networks: NETWORKS,
  runs: ['bundle', 'image'],
  modes: ['hot', 'cold'],
  limits: LIMITS,
  options: SPEC_OPTIONS,
  pause: true,
  measures: ['cpu_total', 'mem_limit', 'mem_usage'],
  trusts: 'Nothing: no code runs, every call is answered by the driver itself.',
  warnings: ['The mock driver runs no functions: every call is answered by the driver itself.'],
}

/**
 * A driver without containers: its calls take as long and answer as told, over real unix sockets.
 * For tests, demonstrations and rehearsals of load.
 */
export function mockDriver(options: MockOptions = {}): Driver {
  const { clock = systemClock, random = systemRandom, prepareMs = 0, startMs = 0, failEvery } = options
  const sockets = makeSockets()
  const calls = serveCalls({ ...options, clock, random })
  let runs = 0

  return driverOf({
    name: 'mock',
    capabilities: CAPABILITIES,
    clock,
    async make(spec, signal) {
      await sleep(clock, latency(prepareMs, random), signal)
      return {
        async start(signal) {
          runs++
          if (failEvery && runs % failEvery === 0) throw new DriverError('unavailable', 'Mocker error! Bad.')
          const startedAt = clock.now()
          await sleep(clock, latency(startMs, random), signal)
          return new MockContainer(spec, startedAt, { clock, random, calls, sockets })
        },
        async remove() {},
      }
    },
    async close() {
      calls.server.close()
      await sockets[Symbol.asyncDispose]()
    },
  })
}

const latency = (ms: Latency, random: Random) => (typeof ms === 'number' ? ms : ms(random))

/** One server's HTTP for all containers: a server of its own for each would cost several times the memory. */
interface Calls {
  readonly server: Server
  /** Which container a connection belongs to. */
  readonly owners: WeakMap<Socket, MockContainer>
}

function serveCalls({ clock, random, callMs = 0, answer = echo }: MockOptions & Chance): Calls {
  const owners = new WeakMap<Socket, MockContainer>()
  const server = createHttpServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 })
  server.on('request', (req, res) => {
    const container = owners.get(req.socket)
    if (!container || req.method !== 'POST' || req.url !== '/call')
      return send(res, { status: 400, body: '{"message":"Invalid method","detail":"Bad request"}' })
    handle(container, req, res).catch(() => res.destroy())
  })

  const handle = async (container: MockContainer, req: IncomingMessage, res: ServerResponse) => {
    const request = { spec: container.spec, headers: req.headers, body: await readBody(req) }
    const ms = typeof callMs === 'number' ? callMs : callMs(request, random)
    if (ms > 0) await sleep(clock, ms)
    await container.resumed
    send(res, answer(request))
  }
  return { server, owners }
}

const echo = ({ headers, body }: MockRequest): MockAnswer => ({
  headers: { 'content-type': headers['content-type'] ?? 'application/octet-stream' },
  body,
})

function send(res: ServerResponse, { status = 200, headers = {}, body }: MockAnswer): void {
  if (!res.destroyed) res.writeHead(status, headers).end(body)
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk)
  return Buffer.concat(chunks)
}

interface Sockets extends AsyncDisposable {
  next(): Promise<string>
}

/** Paths for sockets, in one folder that is made on first use. */
function makeSockets(): Sockets {
  let dir: Promise<string> | undefined
  let count = 0
  return {
    async next() {
      dir ??= makeShortDir(tmpdir())
      return join(await dir, String(count++))
    },
    async [Symbol.asyncDispose]() {
      if (dir) await rm(await dir, { recursive: true, force: true })
    },
  }
}

interface Chance {
  readonly clock: Clock
  readonly random: Random
}

interface Shared extends Chance {
  readonly calls: Calls
  readonly sockets: Sockets
}

class MockContainer implements Running {
  readonly spec: ContainerSpec
  readonly startedAt: number
  readonly stdin: PassThrough | undefined
  readonly output: RunningOutput
  readonly ended: Promise<RunResult>
  /** Pending while paused. */
  resumed: Promise<void> | undefined

  readonly #shared: Shared
  readonly #connections = new Set<Socket>()
  #server: NetServer | undefined
  #resume: (() => void) | undefined
  #settle: (result: RunResult) => void = () => {}
  #over = false
  readonly #measurements: Measurements

  constructor(spec: ContainerSpec, startedAt: number, shared: Shared) {
    const { clock, random } = shared
    this.spec = spec
    this.startedAt = startedAt
    this.#shared = shared
    this.ended = new Promise((resolve) => {
      this.#settle = resolve
    })
    const { memory } = spec
    this.#measurements = measure({
      clock,
      ended: this.ended,
      read: () => ({
        mem_limit: memory,
        mem_usage: Math.floor(memory * random()),
        cpu_total: Math.floor(100 * random()),
      }),
    })
    this.stdin = spec.mode === 'cold' ? new PassThrough() : undefined
    const stdout = this.stdin ? new PassThrough() : silent()
    this.output = { stdout, stderr: silent(), tail: () => '', started() {}, cut() {} }
    if (this.stdin) this.#pipe(this.stdin, stdout as PassThrough)
  }

  async findSocket(): Promise<PinnedSocket> {
    const { server, owners } = this.#shared.calls
    const path = await this.#shared.sockets.next()
    const listener = createServer((connection) => {
      this.#connections.add(connection)
      connection.once('close', () => this.#connections.delete(connection))
      owners.set(connection, this)
      server.emit('connection', connection)
    })
    this.#server = listener
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(path, resolve)
    })
    return { path, [Symbol.dispose]() {} }
  }

  async pause(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.resumed ??= new Promise((resolve) => {
      this.#resume = resolve
    })
  }

  async resume(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#resume?.()
    this.resumed = undefined
  }

  stats(signal: AbortSignal): AsyncIterable<Stat> {
    return this.#measurements.stream(signal)
  }

  measured(): readonly Stat[] {
    return this.#measurements.kept()
  }

  readonly stop = (reason: StopReason): Promise<RunResult> => this.#end({ status: reason })

  /** A cold container hands its input on and ends with it. */
  #pipe(stdin: PassThrough, stdout: PassThrough): void {
    pipeline(stdin, stdout).then(
      () => this.#end({ status: 'success', exitCode: 0 }),
      () => this.stop('killed'),
    )
  }

  #end(how: Pick<RunResult, 'status' | 'exitCode'>): Promise<RunResult> {
    if (this.#over) return this.ended
    this.#over = true
    this.#resume?.()
    const result: RunResult = { ...how, oom: false, startedAt: this.startedAt }
    const { stdout, stderr } = this.output
    for (const stream of [this.stdin, stdout, stderr]) if (!stream?.readableEnded) finish(stream)
    for (const connection of this.#connections) connection.destroy()
    if (this.#server?.listening) this.#server.close(() => this.#settle(result))
    else this.#settle(result)
    return this.ended
  }
}

/** A stream that says nothing until its container ends. */
const silent = () => new Readable({ read() {} })

function finish(stream: Readable | undefined): void {
  if (stream instanceof PassThrough) stream.end()
  else stream?.push(null)
}
