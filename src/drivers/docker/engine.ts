import { type Clock, limit, sleep } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import { DriverError } from '../driver.ts'
import { api } from './api.ts'
import { type EngineClient, type EngineRequest, engineClient, type Tls } from './client.ts'
import { engineMessage, isTransient, statusOf, toDriverError } from './faults.ts'

/** A connection to one engine. Disposing it ends every request that is still open; none is made any more. */
export interface Engine extends EngineClient {
  /** Podman behind Docker's API. */
  readonly podman: boolean
  /** Makes one request of `api.ts` as {@link call} does. */
  ask<T>(name: string, request: EngineRequest<T>, options?: CallOptions): Promise<T>
  /**
   * Does what takes one request or more: `name` says in errors what it is for. `request` must pass its signal on.
   * @throws DriverError, as {@link toDriverError} has it; or the caller's signal's reason
   */
  call<T>(name: string, request: (signal: AbortSignal) => Promise<T>, options?: CallOptions): Promise<T>
}

export interface CallOptions {
  /** Doing it twice is the same as doing it once: tried again after transient errors. @default false */
  readonly idempotent?: boolean
  /** Without one, each try has two minutes. */
  readonly signal?: AbortSignal
  /** Errors worth another try. @default network errors and 5xx */
  readonly transient?: (error: unknown) => boolean
}

export interface EngineOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly host: string
  readonly tls?: Tls | undefined
  readonly clock: Clock
  readonly random: Random
}

const LIMIT = 120_000
const HELLO_LIMIT = 10_000
const TRIES = 9
const FIRST_PAUSE = 25
const API = { major: 1, minor: 41 }

/** @throws DriverError `unavailable` with one clear line when no engine of a version that will do answers */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { clock, host, random, tls } = options
  const client = engineClient(host, tls)
  const closing = new AbortController()
  const engine: Omit<Engine, 'podman'> = {
    ...client,
    ask: (name, request, options) => engine.call(name, (signal) => client.send(request, signal), options),
    call: (name, request, { idempotent = false, signal, transient = isTransient } = {}) =>
      withRetries(idempotent ? TRIES : 1, { clock, closed: closing.signal, random, signal, transient }, () =>
        withLimit(name, request, { clock, signal }),
      ).catch((error) => {
        signal?.throwIfAborted()
        throw toDriverError(name, error)
      }),
    [Symbol.dispose]() {
      closing.abort(new DriverError('closed', `the connection to ${host} is closed`))
      client[Symbol.dispose]()
    },
  }
  try {
    return { ...engine, podman: await greet(engine, host, clock) }
  } catch (error) {
    client[Symbol.dispose]()
    throw error
  }
}

/** Asks for the version. @returns whether it is podman */
async function greet(engine: Pick<Engine, 'ask'>, host: string, clock: Clock): Promise<boolean> {
  using within = limit(clock, HELLO_LIMIT)
  const { signal } = within
  // One that is not there now is no reason to wait; one that stumbles is.
  const transient = (error: unknown) => (statusOf(error) ?? 0) >= 500
  const version = await engine
    .ask('ask for the version', api.version(), { idempotent: true, signal, transient })
    .catch((error) => {
      const reason = signal.aborted ? `no answer in ${HELLO_LIMIT / 1_000} s` : engineMessage(error)
      const text = `no Docker engine answers at ${host}: ${reason}`
      throw new DriverError('unavailable', text, { cause: error })
    })
  const [major = 0, minor = 0] = String(version.ApiVersion).split('.').map(Number)
  if (major < API.major || (major === API.major && minor < API.minor))
    throw new DriverError(
      'unavailable',
      `the Docker engine at ${host} speaks API ${version.ApiVersion}; ${API.major}.${API.minor} or newer is needed`,
    )
  return (version.Components ?? []).some(({ Name }) => /podman/i.test(Name))
}

interface RetryOptions {
  readonly clock: Clock
  /** Tried again, a request would open a connection that nobody closes. */
  readonly closed: AbortSignal
  readonly random: Random
  readonly signal: AbortSignal | undefined
  readonly transient: (error: unknown) => boolean
}

/** Pauses 25 ms × 2ⁿ between tries, each by a random part of it so that many do not come back at once. */
async function withRetries<T>(tries: number, options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const { clock, closed, random, signal, transient } = options
  for (let n = 0; ; n++) {
    signal?.throwIfAborted()
    closed.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      closed.throwIfAborted()
      if (n + 1 >= tries || signal?.aborted || !transient(error)) throw error
    }
    await sleep(clock, random() * FIRST_PAUSE * 2 ** n, signal)
  }
}

interface LimitOptions {
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
}

/** Settles at the latest when the signal or the limit says so, also if the request does not listen to it. */
async function withLimit<T>(
  name: string,
  request: (signal: AbortSignal) => Promise<T>,
  { clock, signal }: LimitOptions,
): Promise<T> {
  const controller = new AbortController()
  const abort = () => controller.abort(signal?.reason)
  const late = () => controller.abort(new DriverError('engine-gone', `the engine did not ${name} in time`))
  using _timer = signal ? undefined : clock.after(LIMIT, late)
  signal?.addEventListener('abort', abort, { once: true })
  const aborted = new Promise<never>((_resolve, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true })
  })
  const answer = request(controller.signal)
  answer.catch(() => {}) // the abort may have come first
  try {
    return await Promise.race([answer, aborted])
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
