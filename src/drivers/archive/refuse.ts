import { messageOf, SluiceError } from '../../core/errors.ts'
import { DriverError, type DriverFault } from '../driver.ts'

/** An image that is not what it must be. */
export const refuse = (text: string): DriverError => new DriverError('bad-spec', text)

/** Failures of this machine rather than of an image. */
const FAULTS: Readonly<Record<string, DriverFault>> = {
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EACCES: 'unavailable',
  EIO: 'unavailable',
  EMFILE: 'no-descriptors',
  ENFILE: 'no-descriptors',
  EPERM: 'unavailable',
  EROFS: 'unavailable',
}

/** Anything thrown, as what a driver may throw; what came of an abort is its reason. */
export function asDriverError(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  if (error instanceof DriverError && error.fault === 'image-missing') return error
  const { code } = error as NodeJS.ErrnoException
  const fault = error instanceof DriverError ? error.fault : (FAULTS[code ?? ''] ?? 'bad-spec')
  const why = error instanceof SluiceError ? (error.detail ?? error.message) : messageOf(error)
  return new DriverError(fault, `${what}: ${why}`, { cause: error })
}

const SHOWN = 20

/** For whoever asked for an image that is not there: what is. */
export function missing(
  ref: string,
  found: readonly { readonly names: readonly string[]; readonly digests: readonly string[] }[],
  broken: readonly string[],
): DriverError {
  const names = [
    ...new Set(found.flatMap(({ names, digests }) => (names.length > 0 ? names : digests.slice(-1)))),
  ]
  const there = names.length === 0 ? 'no image' : names.slice(0, SHOWN).join(', ')
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''
  const unread = broken.length === 0 ? '' : `; not readable: ${broken.slice(0, SHOWN).join('; ')}`
  return new DriverError(
    'image-missing',
    `image ${ref} is not in the image folder, which has ${there}${more}${unread}`,
  )
}
