import { SluiceError } from '../core/errors.ts'
import type { Wait } from '../core/headers.ts'
import { faultOfTarget } from '../core/routes.ts'
import { formatDuration } from '../core/units.ts'
import type { Definition } from '../runner/definition.ts'
import type { Runner } from '../runner/runner.ts'
import { FailedStart } from '../runner/start.ts'
import type { CallRequest } from './call-request.ts'

const MIB = 1024 * 1024
/** Milliseconds by which a timer may be early. */
const EARLY = 5

export const tooLarge = (length: number, max: number): SluiceError =>
  new SluiceError('too-large', `Content-Length too large for this server, ${length} > max ${max}`, {
    detail: `the body must be at most ${max} bytes (FN_MAX_REQUEST_SIZE)`,
  })

/** Characters of a path that an error repeats. */
const LONGEST_ECHO = 200

export function pathNotFound({ path, http }: CallRequest): SluiceError {
  const shown = `${http?.method ?? 'POST'} ${(http?.url ?? path).slice(0, LONGEST_ECHO)}`
  return new SluiceError('path-not-found', `Path not found: ${shown}`, { detail: faultOfTarget(path) })
}

export const deadlinePassed = (when: string): SluiceError =>
  new SluiceError('deadline-passed', undefined, { detail: `the caller's Fn-Deadline had passed ${when}` })

/** A start that failed took its own time, anything else was the queue. */
export function waitOf(error: unknown, arrived: number, now: number): Wait {
  if (error instanceof FailedStart) return error.waitOf(arrived, now)
  return { queue: now - arrived, start: 0, fetch: 0 }
}

const NOT_WARM = 'no idle instance'

export const notWarm = (retryAfter: number | undefined): SluiceError =>
  new SluiceError('refused', undefined, { detail: NOT_WARM, retryAfter })

/** What is known of a call that fails. */
export interface FailedCall {
  readonly definition: Definition | undefined
  /** Milliseconds since its dispatch. */
  readonly ran: number | undefined
  /** Milliseconds that its caller's deadline left it at its dispatch. */
  readonly left: number
}

/** Adds the cause that only the node knows: which limit a call has met, and what the node was short of. */
export function explain(
  error: SluiceError,
  runner: Pick<Runner, 'resources' | 'running'>,
  { definition, ran, left }: FailedCall,
): SluiceError {
  if (!definition) return error
  const { code, message, cause, detail, retryAfter } = error
  let told = detail
  if (code === 'timed-out' && ran !== undefined) told ??= limitOf(definition, ran, left)
  else if ((code === 'busy' || code === 'refused') && detail !== NOT_WARM) {
    const short = shortage(definition, runner)
    told = [detail, short].filter((text) => text !== undefined).join('; ')
  }
  return told === detail ? error : new SluiceError(code, message, { cause, retryAfter, detail: told })
}

function limitOf({ fn }: Definition, ran: number, left: number): string {
  const timeout = fn.timeout * 1_000
  if (ran < Math.min(timeout, left) - EARLY) return 'the function itself said that its time was up (504)'
  return left < timeout
    ? `the caller's Fn-Deadline left it ${formatDuration(left)}`
    : `it ran longer than the function's timeout of ${fn.timeout} s`
}

function shortage(
  { fn, need, maxConcurrency }: Definition,
  runner: Pick<Runner, 'resources' | 'running'>,
): string | undefined {
  if (maxConcurrency > 0 && runner.running(fn.id) >= maxConcurrency)
    return `max_concurrency = ${maxConcurrency} calls of it run`
  const { used, total } = runner.resources
  const memory = total.memory - used.memory
  if (need.memory > memory)
    return `memory is short: a container needs ${need.memory / MIB} MiB, ${Math.floor(memory / MIB)} of ${Math.floor(total.memory / MIB)} MiB are free`
  const mcpus = total.mcpus - used.mcpus
  return need.mcpus > mcpus
    ? `CPUs are short: a container needs ${need.mcpus / 1_000}, ${mcpus / 1_000} of ${total.mcpus / 1_000} are free`
    : undefined
}
