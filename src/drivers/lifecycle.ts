import type { Readable, Writable } from 'node:stream'
import { type Clock, sleep, stayAlive } from '../core/clock.ts'
import { orUndo } from './abort.ts'
import {
  type Capabilities,
  type Container,
  type ContainerSpec,
  type Cookie,
  type Driver,
  DriverError,
  type DriverName,
  type RunResult,
  type Stat,
  type StopReason,
} from './driver.ts'
import type { AwaitSocketOptions, PinnedSocket } from './socket.ts'
import { checkSpec } from './spec.ts'
import { limitTime } from './time-limit.ts'

/** What an adapter brings; the order of things is the same for all and kept here. */
export interface Adapter {
  readonly name: DriverName
  readonly capabilities: Capabilities
  readonly clock: Clock
  /** Makes all of a container but its processes. When it rejects, nothing of it is left. */
  make(spec: ContainerSpec, signal: AbortSignal): Promise<Made>
  /** Lets go of what the driver holds, after its last container. */
  close(): Promise<void> | void
}

export interface Made {
  /** See {@link Cookie.fetched}. */
  readonly fetched?: number
  /**
   * Starts its program, and resolves when that runs or has ended. One that rejects has left nothing running.
   * `remove` is for adapters whose containers are not over before they are removed.
   */
  start(signal: AbortSignal, remove: () => Promise<void>): Promise<Running>
  /** Removes what was made. Called once, when nothing of it runs; what cannot be removed the next start removes. */
  remove(): Promise<void>
}

/** A container whose program was started; a hot one is not ready yet. */
export interface Running {
  /** On the driver's clock. */
  readonly startedAt: number
  readonly stdin: Writable | undefined
  readonly output: RunningOutput
  readonly ended: Promise<RunResult>
  stop(reason: StopReason): Promise<RunResult>
  /** Of a hot one. @throws StartError, DriverError, or the signal's reason: it is stopped then */
  findSocket(waiting: AwaitSocketOptions): Promise<PinnedSocket>
  pause(signal: AbortSignal): Promise<void>
  resume(signal: AbortSignal): Promise<void>
  stats(signal: AbortSignal): AsyncIterable<Stat>
  measured(): readonly Stat[]
}

/** See `output.ts`. */
export interface RunningOutput {
  readonly stdout: Readable
  readonly stderr: Readable
  tail(): string
  started(): void
  cut(): void
}

type State = 'prepared' | 'starting' | 'running' | 'ended' | 'closed'
/** `ready`: whoever ran it has its container. `fail`: it has none. `end`: nothing of the container runs any more. */
type Event = 'run' | 'ready' | 'fail' | 'end' | 'close'

/**
 * The life of a cookie: what happens in which state, and what state follows. What a row does not name is refused
 * (`run`) or changes nothing.
 */
const LIFE: Readonly<Record<State, Partial<Record<Event, State>>>> = {
  prepared: { run: 'starting', close: 'closed' },
  starting: { ready: 'running', fail: 'ended', end: 'ended', close: 'closed' },
  running: { end: 'ended', close: 'closed' },
  ended: { close: 'closed' },
  closed: {},
}

/** How long a close waits for any one thing; what takes longer goes on in the background. */
const PATIENCE = 30_000

/** A driver of an adapter: keeps its cookies, and closes them with itself. */
export function driverOf(adapter: Adapter): Driver {
  const { name, capabilities, clock } = adapter
  const cookies = new Set<Cookie>()
  const preparing = new Set<Promise<unknown>>()
  const closing = new AbortController()
  let closed: Promise<void> | undefined

  const prepare = async (spec: ContainerSpec, signal: AbortSignal): Promise<Cookie> => {
    using _awake = stayAlive()
    const made = await adapter.make(spec, signal)
    const cookie = cookieOf(spec, made, clock, () => cookies.delete(cookie))
    cookies.add(cookie)
    if (!signal.aborted) return cookie
    await cookie[Symbol.asyncDispose]()
    throw signal.reason
  }
  const close = async () => {
    using _awake = stayAlive()
    closing.abort(new DriverError('closed', `the ${name} driver is closed`))
    await patiently(clock, Promise.allSettled(preparing))
    await Promise.all([...cookies].map((cookie) => cookie[Symbol.asyncDispose]()))
    await adapter.close()
  }

  return {
    name,
    capabilities,
    async prepare(input, signal) {
      signal.throwIfAborted()
      closing.signal.throwIfAborted()
      const spec = checkSpec(name, capabilities, input)
      const work = prepare(spec, AbortSignal.any([signal, closing.signal]))
      preparing.add(work)
      return work.finally(() => preparing.delete(work))
    },
    [Symbol.asyncDispose]() {
      closed ??= close()
      return closed
    },
  }
}

/** A cookie of what was made; `closed` is called when nothing of it is left. */
function cookieOf(spec: ContainerSpec, made: Made, clock: Clock, closed: () => void): Cookie {
  let state: State = 'prepared'
  const happens = (event: Event): boolean => {
    const next = LIFE[state][event]
    state = next ?? state
    return next !== undefined
  }
  const over = new AbortController()
  let begun: Promise<Container> | undefined
  let removed: Promise<void> | undefined
  let closing: Promise<void> | undefined

  const remove = () => {
    removed ??= made.remove().catch(() => {})
    return removed
  }
  /** One that rejects has stopped what it started. */
  const begin = async (signal: AbortSignal): Promise<Container> => {
    const awake = stayAlive()
    try {
      const running = await made.start(signal, remove)
      void running.ended.then(() => {
        happens('end')
        awake[Symbol.dispose]()
        return remove()
      })
      const container = await makeReady(spec, running, { clock, signal })
      happens('ready')
      return container
    } catch (error) {
      awake[Symbol.dispose]()
      happens('fail')
      throw error
    }
  }
  const close = async () => {
    using _awake = stayAlive()
    happens('close')
    over.abort(new DriverError('closed', `container ${spec.id} was closed while it started`))
    const dispose = async () => (await begun?.catch(() => undefined))?.[Symbol.asyncDispose]()
    await patiently(clock, dispose())
    await patiently(clock, remove())
    closed()
  }

  return {
    ...(made.fetched !== undefined && { fetched: made.fetched }),
    async run(signal) {
      signal.throwIfAborted()
      if (!happens('run'))
        throw new DriverError('closed', `container ${spec.id} was started already, or is closed`)
      const either = AbortSignal.any([signal, over.signal])
      begun = begin(either)
      const undo = async () => (await begun?.catch(() => undefined))?.[Symbol.asyncDispose]()
      return orUndo(begun, { clock, signal: either, undo })
    },
    [Symbol.asyncDispose]() {
      closing ??= close()
      return closing
    },
  }
}

interface Waiting {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Waits until a hot container listens. One that nobody wants any more is stopped. */
async function makeReady(spec: ContainerSpec, running: Running, waiting: Waiting): Promise<Container> {
  const { clock, signal } = waiting
  const { ended, output, startedAt, stop } = running
  await using undo = new AsyncDisposableStack()
  undo.defer(() => output.cut())
  undo.defer(() => patiently(clock, stop('cancelled')))
  signal.throwIfAborted()
  const container = { ended, stop, output: output.tail }
  const socket =
    spec.mode === 'hot'
      ? undo.use(await running.findSocket({ ...waiting, timeoutMs: spec.startTimeout, container }))
      : undefined
  signal.throwIfAborted()
  output.started()
  limitTime(spec, running, { clock, startedAt })
  undo.move()
  return containerOf(spec, running, socket, clock)
}

function containerOf(
  { id }: ContainerSpec,
  running: Running,
  socket: PinnedSocket | undefined,
  clock: Clock,
): Container {
  const { output, stop } = running
  return {
    id,
    socket: socket?.path,
    stdin: running.stdin,
    stdout: output.stdout,
    stderr: output.stderr,
    ended: running.ended,
    pause: (signal) => running.pause(signal),
    resume: (signal) => running.resume(signal),
    stats: (signal) => running.stats(signal),
    measured: () => running.measured(),
    stop,
    async [Symbol.asyncDispose]() {
      await patiently(clock, stop('cancelled'))
      output.cut()
      socket?.[Symbol.dispose]()
    },
  }
}

async function patiently(clock: Clock, work: Promise<unknown>): Promise<void> {
  const done = new AbortController()
  const late = sleep(clock, PATIENCE, done.signal).catch(() => {})
  await Promise.race([work.catch(() => {}), late])
  done.abort()
}
