import type { IncomingMessage, ServerResponse } from 'node:http'
import { SluiceError } from '../core/errors.ts'
import { tooLarge } from './call-errors.ts'
import { Reply, type ReplyContext } from './reply.ts'

export interface InvokeContext extends ReplyContext {
  readonly draining: () => boolean
  /** So few descriptors are left that nothing new should begin. */
  readonly short: () => boolean
}

/** Serves `/invoke/{fnID}` and `/t/{app}/{source}`: the hot path, so it allocates little and awaits only to wait. */
export function handleCall(context: InvokeContext, req: IncomingMessage, res: ServerResponse): void {
  const { call } = new Reply(context, req, res)
  const refusal = admit(context, req)
  if (refusal) call.fail(refusal)
  else call.start()
}

/** RFC 9112 §3.2: whoever speaks HTTP/1.1 says whom to. */
export const lacksHost = ({ httpVersion, headers }: IncomingMessage): boolean =>
  httpVersion === '1.1' && headers.host === undefined

export const noHost = (): SluiceError => new SluiceError('invalid', undefined, { detail: 'there is no Host' })

/** What can be refused before the function is known. */
function admit(
  { draining, maxRequestSize, short }: InvokeContext,
  req: IncomingMessage,
): SluiceError | undefined {
  if (lacksHost(req)) return noHost()
  if (draining()) return new SluiceError('draining')
  if (short()) return new SluiceError('no-descriptors')
  if (req.method !== 'POST' && (req.url as string).startsWith('/invoke/')) {
    return new SluiceError(
      'method-not-allowed',
      `Method not allowed: ${req.method} ${req.url?.slice(0, 200)}`,
    )
  }
  const coding = req.headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    // The header ends here, so the function would not know.
    return new SluiceError('unsupported', 'Transfer-Encoding not supported', {
      detail: `only chunked is, got ${coding}`,
    })
  }
  // Of a trigger's call it is the function's own affair.
  if (/^detached$/i.test(String(req.headers['fn-invoke-type'])) && (req.url as string).startsWith('/invoke/'))
    return new SluiceError('unsupported', 'Detach call functions are not supported on this server', {
      detail: 'calls that are answered before they run do not work yet: leave out Fn-Invoke-Type',
    })
  const length = Number(req.headers['content-length'] ?? 0)
  return maxRequestSize > 0 && length > maxRequestSize ? tooLarge(length, maxRequestSize) : undefined
}
