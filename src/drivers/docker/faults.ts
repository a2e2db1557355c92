import { messageOf, shortageOf } from '../../core/errors.ts'
import { DriverError, type DriverFault } from '../driver.ts'

/** The HTTP status of an engine's refusal; `undefined` of any other error. */
export function statusOf(error: unknown): number | undefined {
  const status = (original(error) as { statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' ? status : undefined
}

/** What an engine wrote, or the error's own text. */
export function engineMessage(error: unknown): string {
  const cause = original(error)
  const { reason } = (cause ?? {}) as { reason?: unknown }
  // The message of a TLS error names lines of OpenSSL's sources.
  return (typeof reason === 'string' ? reason : messageOf(cause)).trim()
}

/** The system's name of a network error. */
export function codeOf(error: unknown): string | undefined {
  const { code } = (original(error) as { code?: unknown } | undefined) ?? {}
  return typeof code === 'string' ? code : undefined
}

/** Worth another try if the request may be made twice: the network, or the engine stumbled. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  if (status !== undefined) return status >= 500
  const code = codeOf(error)
  return code !== undefined && code !== 'ABORT_ERR' && (/^E[A-Z]+/.test(code) || code.startsWith('HPE_'))
}

/**
 * What an engine's error means to the runner: 400 `bad-spec`, 404 `image-missing` when it speaks of an image, no
 * answer at all `engine-gone`, everything else `unavailable`.
 */
export function toDriverError(name: string, error: unknown): DriverError {
  if (error instanceof DriverError) return error
  return new DriverError(faultOf(error), `the engine did not ${name}: ${engineMessage(error)}`, {
    cause: error,
  })
}

function faultOf(error: unknown): DriverFault {
  const status = statusOf(error)
  if (status === 400) return 'bad-spec'
  if (status === 404 && /image/i.test(engineMessage(error))) return 'image-missing'
  if (/no space left on device/i.test(engineMessage(error))) return 'no-space'
  // Nothing came back: it does not answer, or went away.
  return shortageOf(error) ?? (status === undefined ? 'engine-gone' : 'unavailable')
}

/** Beneath what was made of it. */
function original(error: unknown): unknown {
  return error instanceof DriverError && error.cause !== undefined ? error.cause : error
}
