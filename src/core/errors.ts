/** What a code means to whoever meets it. `retryable`: the call has not started, another node may take it. */
interface ErrorRow {
  readonly status: number
  readonly exit: number
  readonly message: string
  readonly retryable?: true
}

/**
 * Every error that crosses a border of Sluice: code → HTTP status, exit code of the command line, the text
 * that clients know (api-v2 §7), and whether the call may be sent elsewhere.
 * Exit codes: 2 = wrong use, 3 = not found, 4 = conflict, 5 = refused, 6 = the function failed, 7 = the platform failed.
 */
const table = {
  'invalid-json': { status: 400, exit: 2, message: 'Invalid JSON' },
  invalid: { status: 400, exit: 2, message: 'Invalid request' },
  unauthorized: { status: 401, exit: 5, message: 'Unauthorized' },
  forbidden: { status: 403, exit: 5, message: 'Forbidden' },
  'not-found': { status: 404, exit: 3, message: 'Not found' },
  'path-not-found': { status: 404, exit: 3, message: 'Path not found' },
  'method-not-allowed': { status: 405, exit: 2, message: 'Method not allowed' },
  conflict: { status: 409, exit: 4, message: 'Conflict' },
  gone: { status: 410, exit: 3, message: 'Gone' },
  'too-large': { status: 413, exit: 2, message: 'Content-Length too large for this server' },
  'client-gone': { status: 444, exit: 7, message: 'Client gone' },
  internal: { status: 500, exit: 7, message: 'internal server error' },
  unsupported: { status: 501, exit: 2, message: 'Not supported by this server' },

  'init-failed': {
    status: 502,
    exit: 6,
    message: 'Container failed to initialize, please ensure you are using the latest fdk and check the logs',
  },
  'init-timeout': {
    status: 504,
    exit: 6,
    message:
      'Container initialization timed out, please ensure you are using the latest fdk and check the logs',
  },
  'no-response': { status: 502, exit: 6, message: 'error receiving function response' },
  'function-failed': { status: 502, exit: 6, message: 'function failed' },
  'invalid-response': { status: 502, exit: 6, message: 'invalid function response' },
  'response-too-large': { status: 502, exit: 6, message: 'function response body too large' },
  'response-head-too-large': { status: 502, exit: 6, message: 'function response header too large' },
  'timed-out': { status: 504, exit: 6, message: 'Timed out' },

  'too-big-for-node': { status: 400, exit: 2, message: 'Requested CPU/Memory cannot be allocated' },
  'no-image': { status: 503, exit: 7, message: 'Image not found on this node', retryable: true },
  busy: { status: 503, exit: 7, message: 'Timed out - server too busy', retryable: true },
  /** At arrival: it would wait in vain here. Unlike `busy`, which has waited already (decision 002). */
  refused: { status: 503, exit: 7, message: 'Timed out - server too busy', retryable: true },
  draining: { status: 503, exit: 7, message: 'Node is draining', retryable: true },
  'no-nodes': { status: 503, exit: 7, message: 'No node can take the call' },
  'node-unreachable': { status: 502, exit: 7, message: 'Node could not be reached', retryable: true },
  'node-lost': { status: 502, exit: 7, message: 'Connection to the node was lost during the call' },
  'node-timeout': { status: 504, exit: 7, message: 'Node did not answer in time' },
  unmet: { status: 500, exit: 7, message: 'Not as promised' },
  address: { status: 500, exit: 7, message: 'Address not available' },
  'data-dir': { status: 500, exit: 7, message: 'Data folder not available' },
  driver: { status: 500, exit: 7, message: 'Driver not available' },
  'store-unavailable': { status: 503, exit: 7, message: 'Store is unavailable' },
} as const

export type ErrorCode = keyof typeof table

export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = table

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

  get retryable(): boolean {
    return ERRORS[this.code].retryable === true
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
