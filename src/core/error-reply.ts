import type { SluiceError } from './errors.ts'

export interface ErrorReply {
  readonly status: number
  /** Raw pairs; more may be added. */
  readonly headers: string[]
  readonly body: string
}

export interface ErrorReplyOptions {
  /** Of the call that failed, for who asks its operator about it. */
  readonly callId?: string | undefined
  /** Milliseconds after which to try again. @default the error's own */
  readonly retryAfter?: number | undefined
  /** Fields of the JSON beside its `message` and `detail`. */
  readonly more?: Readonly<Record<string, string>> | undefined
}

/** An error as every port of Sluice answers it: JSON with a length, and what its status asks for. */
export function errorReply(error: SluiceError, options: ErrorReplyOptions = {}): ErrorReply {
  const { callId, retryAfter = error.retryAfter, more } = options
  const told = { ...error.toJSON(), ...more, ...(callId !== undefined && { call_id: callId }) }
  const body = `${JSON.stringify(told)}\n`
  const headers = [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
  ]
  if (retryAfter !== undefined)
    headers.push('Retry-After', String(Math.max(1, Math.ceil(retryAfter / 1_000))))
  if (error.status === 401) headers.push('WWW-Authenticate', 'Bearer')
  return { status: error.status, headers, body }
}
