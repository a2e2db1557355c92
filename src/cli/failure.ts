import { ERRORS, type ErrorCode, messageOf, SluiceError } from '../core/errors.ts'

/** Codes by status, for messages that the table does not know. */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'unauthorized',
  404: 'not-found',
  405: 'method-not-allowed',
  409: 'conflict',
  410: 'gone',
  413: 'too-large',
  501: 'unsupported',
  503: 'busy',
}

/**
 * The error in a reply of status 400 or more: the server's message and detail, and the code of the table row
 * that has both status and message, else the one closest by status.
 * @param fallback of statuses that say little: `internal` for management, `function-failed` for calls
 */
export function failureOf(status: number, body: string, fallback: ErrorCode): SluiceError {
  const { message, detail } = readFailure(body)
  const code = codeOf(status, message) ?? BY_STATUS[status] ?? fallback
  const todo = code === 'unauthorized' ? "set FN_TOKEN, or FN_TOKEN_FILE, to the server's token" : undefined
  const hint = [detail, todo].filter(Boolean).join('; ') || undefined
  return new SluiceError(code, message ?? `the server answered with status ${status}`, { detail: hint })
}

function readFailure(body: string): { message?: string; detail?: string } {
  try {
    const { message, detail } = JSON.parse(body)
    return {
      ...(typeof message === 'string' && message !== '' && { message }),
      ...(typeof detail === 'string' && detail !== '' && { detail }),
    }
  } catch {
    const text = body.trim().slice(0, 300) // a proxy's page, or nothing
    return text === '' ? {} : { detail: text }
  }
}

function codeOf(status: number, message: string | undefined): ErrorCode | undefined {
  for (const code of Object.keys(ERRORS) as ErrorCode[])
    if (ERRORS[code].status === status && ERRORS[code].message === message) return code
  return undefined
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** What a failed exchange with the server at `url` means. An abort stays what it is. */
export function connectionFailure(error: unknown, url: string): unknown {
  if (error instanceof SluiceError) return error
  const code = (error as { code?: unknown } | undefined)?.code
  if (typeof code !== 'string') return error
  if (UNREACHABLE.has(code))
    return new SluiceError(
      'node-unreachable',
      `no server at ${url}; start one with "sluice start", or set FN_API_URL to another`,
      { cause: error },
    )
  return new SluiceError('node-lost', `the connection to ${url} failed`, {
    cause: error,
    detail: `${messageOf(error) || code}; see whether the server still runs, then try again`,
  })
}
