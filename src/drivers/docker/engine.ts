import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import Dockerode from 'dockerode'
import { type Clock, limit, sleep } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { DriverError } from '../driver.ts'
import { engineMessage, isTransient, statusOf, toDriverError } from './faults.ts'
import type { Address } from './post.ts'

/** A connection to one engine. Disposing it ends every request that is still open; none is made any more. */
export interface Engine extends Disposable {
  readonly docker: Dockerode
  /** For what dockerode cannot do. */
  readonly address: Address
  /** Podman behind Docker's API. */
  readonly podman: boolean
  /**
   * Makes one request: `name` says in errors what it was for. `request` must pass its signal on as `abortSignal`,
   * and make its options anew each time, since dockerode changes them.
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

/** PEM texts. */
export interface Tls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const LIMIT = 120_000
const HELLO_LIMIT = 10_000
const TRIES = 9
const FIRST_PAUSE = 25
const API = { major: 1, minor: 41 }

/** @throws DriverError `unavailable` with one clear line when no engine of a version that will do answers */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { clock, host, random, tls } = options
  const agent = makeAgent(host, tls)
  const closing = new AbortController()
  const engine: Omit<Engine, 'podman'> = {
    docker: connect(host, tls, agent),
    address: addressOf(host, tls, agent),
    call: (name, request, { idempotent = false, signal, transient = isTransient } = {}) =>
      withRetries(idempotent ? TRIES : 1, { clock, closed: closing.signal, random, signal, transient }, () =>
        withLimit(name, request, { clock, signal }),
      ).catch((error) => {
        signal?.throwIfAborted()
        throw toDriverError(name, error)
      }),
    [Symbol.dispose]() {
      closing.abort(new DriverError('closed', `the connection to ${host} is closed`))
      agent.destroy()
    },
  }
  try {
    return { ...engine, podman: await greet(engine, host, clock) }
  } catch (error) {
    agent.destroy()
    throw error
  }
}

type Agent = HttpAgent | HttpsAgent

/** Keeps a few connections; over TCP it learns of a peer that has gone. */
function makeAgent(host: string, tls: Tls | undefined): Agent {
  const options = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 4 }
  return host.startsWith('unix:') || !tls ? new HttpAgent(options) : new HttpsAgent({ ...options, ...tls })
}

function addressOf(host: string, tls: Tls | undefined, agent: Agent): Address {
  const at = parseHost(host)
  if (at.path !== undefined) return { agent, socketPath: at.path, protocol: 'http:' }
  return { agent, host: at.host.replace(/^\[|\]$/g, ''), port: at.port, protocol: tls ? 'https:' : 'http:' }
}

function connect(host: string, tls: Tls | undefined, agent: Agent): Dockerode {
  // Whatever is left out, dockerode takes from this process's environment.
  const unset = { host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined }
  const common = { ...unset, socketPath: undefined, timeout: undefined, pathPrefix: '/', agent }
  const at = parseHost(host)
  try {
    return new Dockerode(
      (at.path === undefined
        ? { ...common, ...tls, host: at.host, port: at.port, protocol: tls ? 'https' : 'http' }
        : { ...common, socketPath: at.path, protocol: 'http' }) as Dockerode.DockerOptions,
    )
  } catch (error) {
    throw new DriverError('unavailable', `cannot use the engine at ${host}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function parseHost(host: string): { path: string } | { path?: never; host: string; port: string } {
  const [, path] = /^unix:\/\/(\/.+)$/.exec(host) ?? []
  if (path !== undefined) return { path }
  const [, name, port] = /^tcp:\/\/([^/:]+|\[[^/]+\]):(\d+)\/?$/.exec(host) ?? []
  if (name !== undefined && port !== undefined) return { host: name, port }
  throw new DriverError('unavailable', `an engine's address is unix:///path or tcp://host:port, not ${host}`)
}

/** Asks for the version. @returns whether it is podman */
async function greet(engine: Pick<Engine, 'call' | 'docker'>, host: string, clock: Clock): Promise<boolean> {
  using within = limit(clock, HELLO_LIMIT)
  const { signal } = within
  // One that is not there now is no reason to wait; one that stumbles is.
  const transient = (error: unknown) => (statusOf(error) ?? 0) >= 500
  const version = await engine
    .call('ask for the version', () => engine.docker.version(), { idempotent: true, signal, transient })
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
  const late = () => controller.abort(new DriverError('unavailable', `the engine did not ${name} in time`))
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
