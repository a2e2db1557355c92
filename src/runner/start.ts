import { type Clock, limit } from '../core/clock.ts'
import { type ErrorCode, messageOf, SluiceError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import {
  type ContainerSpec,
  type Cookie,
  type Driver,
  DriverError,
  type DriverFault,
  type Source,
  StartError,
} from '../drivers/driver.ts'
import { type Definition, functionEnv } from './definition.ts'
import { Instance } from './instance.ts'
import { Output } from './output.ts'

const MIB = 1024 * 1024

export interface StartOptions {
  readonly driver: Driver
  readonly clock: Clock
  readonly log: Logger
  readonly makeId: () => string
  /** Where a function's code is: fetches it when it is not here yet. */
  readonly fetch: (image: string, signal: AbortSignal) => Promise<Source>
  /** Milliseconds a fetch and a prepare may take together. @default 600000, as today's Fn gives a pull */
  readonly prepareTimeout?: number
}

/**
 * Starts one hot container of a function; what fails leaves nothing behind and is logged.
 * @param began when that was decided, on the clock
 * @throws what {@link startFailure} puts into the words of the wire
 */
export async function startInstance(
  definition: Definition,
  began: number,
  options: StartOptions,
  signal: AbortSignal,
): Promise<Instance> {
  const { driver, clock, fetch, log, makeId, prepareTimeout = 600_000 } = options
  const { fn, app } = definition
  const id = makeId()
  const fields = { container_id: id, fn_id: fn.id, app_id: app.id, app_name: app.name, fn_name: fn.name }
  using preparing = limit(clock, prepareTimeout, signal)
  const source = await fetch(fn.image, preparing.signal)
  const fetched = clock.now()
  let cookie: Cookie | undefined
  try {
    cookie = await driver.prepare(specOf(id, definition, source), preparing.signal)
    const container = await cookie.run(signal)
    let instance: Instance | undefined
    const output = new Output(container.stdout, container.stderr, (line, stream) =>
      log.info({ ...fields, call_id: instance?.callId, user_log: true, stream }, line),
    )
    const birth = { began, fetched, ready: clock.now() }
    instance = new Instance(container, cookie, output, birth, definition.concurrency)
    void container.ended.then(({ status, exitCode }) =>
      log.debug({ ...fields, status, exit_code: exitCode }, 'container ended'),
    )
    log.debug({ ...fields, start_ms: birth.ready - began }, 'container ready')
    return instance
  } catch (error) {
    await cookie?.[Symbol.asyncDispose]()
    const output = error instanceof StartError ? error.output : undefined
    log.warn({ ...fields, error: messageOf(error), output }, 'container did not start')
    throw error
  }
}

function specOf(id: string, definition: Definition, source: Source): ContainerSpec {
  const { app, fn } = definition
  return {
    id,
    mode: 'hot',
    source,
    env: functionEnv(definition),
    labels: { app: app.name, fn: fn.name },
    memory: fn.memory * MIB,
    cpus: fn.cpus,
    pids: 0,
    tmpfsSize: fn.tmpfs_size * MIB,
    network: fn.network ? 'outbound' : 'none',
    startTimeout: fn.start_timeout * 1_000,
    timeout: 0,
  }
}

/** What it means for a call; other faults are failures of its start. */
const DRIVER_FAULTS: Partial<Record<DriverFault, ErrorCode>> = {
  'image-missing': 'no-image',
  'image-denied': 'no-image',
  'pull-failed': 'no-image',
  'no-room': 'busy',
}

/** Why no container could be started, in the words of the wire (fn-v2-api §7). */
export function startFailure(error: unknown): SluiceError {
  if (error instanceof StartError) {
    const code = error.fault === 'timeout' ? 'init-timeout' : 'init-failed'
    const output = error.output.trimEnd()
    const detail = output === '' ? error.message : `${error.message}; its last output:\n${output}`
    return new SluiceError(code, undefined, { cause: error, detail })
  }
  if (error instanceof DriverError) {
    return new SluiceError(DRIVER_FAULTS[error.fault] ?? 'init-failed', undefined, {
      cause: error,
      detail: error.userVisible ? error.message : undefined,
    })
  }
  return error instanceof SluiceError ? error : new SluiceError('internal', undefined, { cause: error })
}
