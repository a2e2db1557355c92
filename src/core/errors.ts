import type { Origin, Reject } from './words.ts'

/** Who can let a call down: who calls, the function, or a part of the platform. */
export type Blamed = 'caller' | 'function' | 'node' | 'engine' | 'disk' | 'descriptors' | 'store' | 'registry'

/** What a code means to whoever meets it. */
interface ErrorRow {
  readonly status: number
  readonly exit: number
  readonly message: string
  /** Whose fault it is that a call ends so; absent where no call does. */
  readonly of?: Blamed
  /** The call had started, or nobody knows: it is never sent again. */
  readonly started?: true
  /** It had not, and another node may make it good: what the node says in `Fn-Reject`. */
  readonly reject?: Reject
}

/**
 * Every error that crosses a border of Sluice: code → HTTP status, exit code of the command line, the text that
 * clients know (api-v2 §7), and of those that a call can end with whose fault it is and whether it may go elsewhere.
 * Exit codes: 2 = wrong use, 3 = not found, 4 = conflict, 5 = refused, 6 = the function failed, 7 = the platform failed.
 */
const table = {
  'invalid-json': { status: 400, exit: 2, message: 'Invalid JSON' },
  unauthorized: { status: 401, exit: 5, message: 'Unauthorized' },
  forbidden: { status: 403, exit: 5, message: 'Forbidden' },
  conflict: { status: 409, exit: 4, message: 'Conflict' },
  gone: { status: 410, exit: 3, message: 'Gone' },
  unmet: { status: 500, exit: 7, message: 'Not as promised' },
  address: { status: 500, exit: 7, message: 'Address not available' },
  'data-dir': { status: 500, exit: 7, message: 'Data folder not available' },
  driver: { status: 500, exit: 7, message: 'Driver not available' },

  invalid: { status: 400, exit: 2, message: 'Invalid request', of: 'caller' },
  'not-found': { status: 404, exit: 3, message: 'Not found', of: 'caller' },
  'path-not-found': { status: 404, exit: 3, message: 'Path not found', of: 'caller' },
  'method-not-allowed': { status: 405, exit: 2, message: 'Method not allowed', of: 'caller' },
  'request-timeout': { status: 408, exit: 2, message: 'Request did not come in time', of: 'caller' },
  'too-large': {
    status: 413,
    exit: 2,
    message: 'Content-Length too large for this server',
    of: 'caller',
    started: true,
  },
  'body-late': {
    status: 408,
    exit: 2,
    message: 'Request body did not arrive in time',
    of: 'caller',
    started: true,
  },
  'head-too-large': { status: 431, exit: 2, message: 'Request header too large', of: 'caller' },
  'client-gone': { status: 444, exit: 7, message: 'Client gone', of: 'caller', started: true },
  unsupported: { status: 501, exit: 2, message: 'Not supported by this server', of: 'caller' },

  'init-failed': {
    status: 502,
    exit: 6,
    message: 'Container failed to initialize, please ensure you are using the latest fdk and check the logs',
    of: 'function',
  },
  'init-timeout': {
    status: 504,
    exit: 6,
    message:
      'Container initialization timed out, please ensure you are using the latest fdk and check the logs',
    of: 'function',
  },
  'no-response': {
    status: 502,
    exit: 6,
    message: 'error receiving function response',
    of: 'function',
    started: true,
  },
  'function-failed': { status: 502, exit: 6, message: 'function failed', of: 'function', started: true },
  'invalid-response': {
    status: 502,
    exit: 6,
    message: 'invalid function response',
    of: 'function',
    started: true,
  },
  'response-too-large': {
    status: 502,
    exit: 6,
    message: 'function response body too large',
    of: 'function',
    started: true,
  },
  'response-head-too-large': {
    status: 502,
    exit: 6,
    message: 'function response header too large',
    of: 'function',
    started: true,
  },
  'timed-out': { status: 504, exit: 6, message: 'Timed out', of: 'function', started: true },
  'deadline-passed': { status: 504, exit: 7, message: 'Timed out', of: 'caller' },

  internal: { status: 500, exit: 7, message: 'internal server error', of: 'node', started: true },
  'too-big-for-node': {
    status: 400,
    exit: 2,
    message: 'Requested CPU/Memory cannot be allocated',
    of: 'node',
  },
  /** Has waited already: not sent on to wait again (decision 002). */
  busy: { status: 503, exit: 7, message: 'Timed out - server too busy', of: 'node' },
  /** At arrival: it would wait in vain here. */
  refused: { status: 503, exit: 7, message: 'Timed out - server too busy', of: 'node', reject: 'busy' },
  draining: { status: 503, exit: 7, message: 'Node is draining', of: 'node', reject: 'draining' },
  'no-image': {
    status: 503,
    exit: 7,
    message: 'Image not found on this node',
    of: 'registry',
    reject: 'no-image',
  },
  'engine-gone': {
    status: 503,
    exit: 7,
    message: 'Container engine is not available',
    of: 'engine',
    reject: 'busy',
  },
  'no-space': { status: 503, exit: 7, message: 'Node is out of disk space', of: 'disk', reject: 'busy' },
  'no-descriptors': {
    status: 503,
    exit: 7,
    message: 'Node is out of file descriptors',
    of: 'descriptors',
    reject: 'busy',
  },
  'store-unavailable': { status: 503, exit: 7, message: 'Store is unavailable', of: 'store', reject: 'busy' },

  'no-nodes': { status: 503, exit: 7, message: 'No node can take the call', of: 'node' },
  'node-unreachable': { status: 502, exit: 7, message: 'Node could not be reached', of: 'node' },
  'node-lost': {
    status: 502,
    exit: 7,
    message: 'Connection to the node was lost during the call',
    of: 'node',
    started: true,
  },
  'node-timeout': {
    status: 504,
    exit: 7,
    message: 'Node did not answer in time',
    of: 'node',
    started: true,
  },
} as const

export type ErrorCode = keyof typeof table

export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = table

/** What a failed call's answer says in `Fn-Origin`. */
export const originOf = (code: ErrorCode): Origin =>
  ERRORS[code].of === 'function' ? 'function' : 'platform'

/** What the system calls what a machine has run out of. */
const SHORTAGES: Readonly<Record<string, 'no-space' | 'no-descriptors'>> = {
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EMFILE: 'no-descriptors',
  ENFILE: 'no-descriptors',
}

/** What the machine has run out of, if that is at the bottom of an error, whoever made what of it. */
export function shortageOf(error: unknown): 'no-space' | 'no-descriptors' | undefined {
  let at = error
  for (let depth = 0; depth < 10 && at instanceof Error; depth++) {
    const shortage = 'code' in at && typeof at.code === 'string' ? SHORTAGES[at.code] : undefined
    if (shortage) return shortage
    at = at.cause
  }
  return undefined
}

export interface ErrorOptionsWithDetail extends ErrorOptions {
  /** Names the thing, the field, the rule and the value. Shown to the caller, so never a secret. */
  readonly detail?: string | undefined
  /** Milliseconds after which it may be worth trying again. */
  readonly retryAfter?: number | undefined
}

/** An error with a stable code. `message` is what clients match on, `detail` what people read. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly retryAfter: number | undefined

  constructor(code: ErrorCode, message: string = ERRORS[code].message, options: ErrorOptionsWithDetail = {}) {
    super(message, options)
    this.code = code
    this.detail = options.detail
    this.retryAfter = options.retryAfter
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  /** The body of the reply: `{ message, detail? }`. */
  toJSON(): { message: string; detail?: string } {
    return this.detail === undefined
      ? { message: this.message }
      : { message: this.message, detail: this.detail }
  }

  /** `error` itself, or an `internal` that hides what an untyped error says (it belongs in the log). */
  static from(error: unknown): SluiceError {
    return error instanceof SluiceError ? error : new SluiceError('internal', undefined, { cause: error })
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
