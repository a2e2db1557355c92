import { type Clock, limit } from '../core/clock.ts'
import { type ErrorCode, messageOf, SluiceError, shortageOf } from '../core/errors.ts'
import type { Wait } from '../core/headers.ts'
import type { LogSink } from '../core/log-sink.ts'
import type { Logger } from '../core/logger.ts'
import {
  type Container,
  type ContainerSpec,
  type Cookie,
  type Driver,
  DriverError,
  type DriverFault,
  type Source,
  StartError,
} from '../drivers/driver.ts'
import { LiveContainer } from './container.ts'
import { type Definition, functionEnv, isPiped } from './definition.ts'
import { Output } from './output.ts'
import { type Birth, splitWait } from './policy/wait.ts'
import { connectDefault } from './protocols/default.ts'
import type { Connection } from './protocols/exchange.ts'
import { connectHttp } from './protocols/http.ts'
import { connectHttpStream } from './protocols/http-stream.ts'

export interface StartOptions {
  readonly driver: Driver
  readonly clock: Clock
  readonly log: Logger
  /** What functions print goes here. */
  readonly sink: LogSink
  readonly makeId: () => string
  /** Where a function's code is: fetches it when it is not here yet. */
  readonly fetch: (image: string, signal: AbortSignal) => Promise<Source>
  /** Milliseconds a fetch and a prepare may take together. @default 600000, as today's Fn gives a pull */
  readonly prepareTimeout?: number
  /** Bytes of the head of a function's answer. @default 1 MiB */
  readonly maxResponseHeadSize?: number
}

/** What a start is for, and where its times are written while it goes on. */
export interface StartOrder {
  readonly id: string
  readonly definition: Definition
  /** Beyond the function's own, of a container that is made for one call. */
  readonly environment: Readonly<Record<string, string>>
  /** The image or bundle is here (ms of the clock). */
  fetched?: number
  /** The container is made. */
  created?: number
}

/**
 * Starts one container of a function; what fails leaves nothing behind and is logged.
 * @throws what {@link startFailure} puts into the words of the wire
 */
export async function startContainer(
  order: StartOrder,
  options: StartOptions,
  signal: AbortSignal,
): Promise<LiveContainer> {
  const { driver, clock, fetch, log, sink, prepareTimeout = 600_000 } = options
  const { fn, app } = order.definition
  const fields = {
    container_id: order.id,
    fn_id: fn.id,
    app_id: app.id,
    app_name: app.name,
    fn_name: fn.name,
  }
  using preparing = limit(clock, prepareTimeout, signal)
  let cookie: Cookie | undefined
  try {
    const source = await fetch(fn.image, preparing.signal)
    order.fetched = clock.now()
    cookie = await driver.prepare(specOf(order, source), preparing.signal)
    order.fetched = cookie.fetched ?? order.fetched
    order.created = clock.now()
    const container = await cookie.run(signal)
    let live: LiveContainer | undefined
    const stdout = isPiped(fn) ? undefined : container.stdout
    const shared = order.definition.concurrency > 1
    const output = new Output(stdout, container.stderr, clock, (text, stream) =>
      sink.write({
        at: clock.wall(),
        app,
        fn,
        container: order.id,
        callId: live?.callId,
        shared,
        stream,
        text,
      }),
    )
    const connection = connectionTo(container, order.definition, options.maxResponseHeadSize)
    live = new LiveContainer(container, cookie, output, connection, clock)
    void container.ended.then(({ status, exitCode }) => {
      output.end()
      log.debug({ ...fields, status, exit_code: exitCode }, 'container ended')
    })
    return live
  } catch (error) {
    await cookie?.[Symbol.asyncDispose]()
    const output = error instanceof StartError ? error.output : undefined
    if (!signal.aborted) log.warn({ ...fields, error: messageOf(error), output }, 'container did not start')
    throw error
  }
}

function connectionTo(
  container: Container,
  { fn, concurrency, keepsConnection }: Definition,
  maxHeadSize = 1024 * 1024,
): Connection {
  // Out of turn between calls: it goes before the next call could meet it.
  const broken = () => void container.stop('killed')
  if (!isPiped(fn))
    return connectHttpStream({
      id: container.id,
      socket: container.socket as string,
      concurrency,
      maxHeadSize,
      keeps: keepsConnection,
      broken,
    })
  const { stdin, stdout, ended } = container
  if (!stdin) throw new DriverError('unsupported', `format ${fn.format} needs a container with an input`)
  return fn.format === 'http'
    ? connectHttp({ stdin, stdout, ended })
    : connectDefault({ stdin, stdout, ended })
}

function specOf({ id, definition, environment }: StartOrder, source: Source): ContainerSpec {
  const { app, fn } = definition
  if (fn.format === 'port' && source.kind !== 'bundle') {
    throw new SluiceError('unsupported', undefined, {
      detail: 'format port runs bundles; an image speaks http-stream, http or default',
    })
  }
  return {
    id,
    mode: isPiped(fn) ? 'cold' : 'hot',
    source,
    env: { ...environment, ...functionEnv(definition) },
    labels: { app: app.name, fn: fn.name },
    memory: definition.need.memory,
    cpus: fn.cpus,
    pids: 0,
    tmpfsSize: fn.tmpfs_size * 1024 * 1024,
    network: fn.network ? 'outbound' : 'none',
    startTimeout: fn.start_timeout * 1_000,
    timeout: 0, // the call's own rules
  }
}
/** What a driver's fault means for the calls that wait. None but the function's own definition is the function's. */
const MEANING: Readonly<Record<DriverFault, ErrorCode>> = {
  'image-missing': 'no-image',
  'image-denied': 'no-image',
  'pull-failed': 'no-image',
  'bad-spec': 'init-failed',
  unsupported: 'init-failed',
  'no-room': 'refused',
  'no-space': 'no-space',
  'no-descriptors': 'no-descriptors',
  'engine-gone': 'engine-gone',
  unavailable: 'engine-gone',
  closed: 'draining',
}

/** A start that failed, told to the calls that waited for it: its time is no time in the queue. */
export class FailedStart extends SluiceError {
  readonly #birth: Birth

  constructor({ code, message, cause, detail }: SluiceError, birth: Birth) {
    super(code, message, { cause, detail })
    this.#birth = birth
  }

  /** What a call waited that came then and hears of it now. */
  waitOf(arrived: number, now: number): Wait {
    return splitWait(arrived, now, this.#birth)
  }
}

/** What Node and Python say when a program asks for what it did not bring. */
function missingPackage(output: string): string | undefined {
  const [, ofNode, ofPython] =
    /Cannot find (?:package|module) '([^'./][^']*)'|No module named '([^']+)'/.exec(output) ?? []
  const name = ofNode ?? ofPython
  return name && `the package "${name}" is missing: add it to the function's dependencies and deploy again`
}

/** Why no container could be started, in the words of the wire (api-v2 §7). */
export function startFailure(error: unknown): SluiceError {
  if (error instanceof StartError) {
    const code = error.fault === 'timeout' ? 'init-timeout' : 'init-failed'
    const output = error.output.trimEnd()
    const why = [missingPackage(output), error.message].filter((text) => text !== undefined).join('; ')
    const detail = output === '' ? why : `${why}; its last output:\n${output}`
    return new SluiceError(code, undefined, { cause: error, detail })
  }
  const shortage = shortageOf(error)
  if (shortage) return new SluiceError(shortage, undefined, { cause: error })
  if (error instanceof DriverError) {
    return new SluiceError(MEANING[error.fault], undefined, {
      cause: error,
      detail: error.userVisible ? error.message : undefined,
    })
  }
  return SluiceError.from(error)
}
