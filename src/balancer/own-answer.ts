import { STATUS_CODES } from 'node:http'
import { errorReply } from '../core/error-reply.ts'
import type { SluiceError } from '../core/errors.ts'
import { formatEntry } from '../core/headers.ts'
import type { Client } from './client.ts'

/** Milliseconds after which a node may take what none takes now. */
const RETRY_AFTER = 1_000

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
  const retryAfter = error.retryAfter ?? (error.status === 503 ? RETRY_AFTER : undefined)
  const { status, headers, body } = errorReply(error, { callId: call?.id, retryAfter })
  if (call) headers.push('Fn-Call-Id', call.id, 'Server-Timing', formatEntry('lb', call.lb))
  client.answer(status, STATUS_CODES[status] ?? '', headers, last)
  client.write(Buffer.from(body))
  client.end([])
}
