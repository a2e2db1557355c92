import { STATUS_CODES } from 'node:http'
import type { SluiceError } from '../core/errors.ts'
import { formatEntry } from '../core/headers.ts'
import type { Client } from './client.ts'

/** What an answer tells of the call that it is for. */
export interface CallFacts {
  readonly id: string
  /** Milliseconds that the balancer had it. */
  readonly lb: number
}

/** The balancer's own answer to a request that no node answers. */
export function answerError(
  client: Client,
  error: SluiceError,
  call: CallFacts | undefined,
  last: boolean,
): void {
  const text = Buffer.from(JSON.stringify(error))
  const headers = ['Content-Type', 'application/json; charset=utf-8', 'Content-Length', `${text.length}`]
  if (error.status === 503) headers.push('Retry-After', '1')
  if (error.status === 401) headers.push('WWW-Authenticate', 'Bearer')
  if (call) headers.push('Fn-Call-Id', call.id, 'Server-Timing', formatEntry('lb', call.lb))
  client.answer(error.status, STATUS_CODES[error.status] ?? '', headers, last)
  client.write(text)
  client.end([])
}
