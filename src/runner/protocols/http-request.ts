import { HEADER } from '../../core/headers.ts'
import { headerOf, headerValues } from '../../http1/raw-headers.ts'
import type { FunctionRequest } from './exchange.ts'

/** What frames the message is ours alone, and so it was in 2017: Go's writer leaves these out. */
const RESERVED: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'fn-call-id',
  'fn-deadline',
  'host',
  'task-id',
  'trailer',
  'transfer-encoding',
  'user-agent',
])

/**
 * The head of a call as hot functions of 2017 read it: always `GET /`, one header per variable of the environment,
 * the length of the body, and which call it is.
 */
export function requestHead(request: FunctionRequest, length: number): Buffer {
  const callId = headerOf(request.headers, HEADER.callId)
  const lines = ['GET / HTTP/1.1']
  for (const [name, value] of Object.entries(request.environment())) {
    if (/^[\w-]+$/.test(name) && !RESERVED.has(name.toLowerCase()))
      lines.push(`${canonicalName(name)}: ${lineOf(value)}`)
  }
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined) lines.push(`${name}: ${lineOf(value)}`)
  }
  add('Content-Length', String(length))
  add('Task-Id', callId)
  add('Content-Type', headerOf(request.headers, 'content-type'))
  add('Fn-Call-Id', callId)
  add('Fn-Deadline', headerOf(request.headers, HEADER.deadline))
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}

/** The length that the caller promised of the body; `undefined` when there is none to rely on. */
export function promisedLength(headers: readonly string[]): number | undefined {
  const values = headerValues(headers, 'content-length')
  return values.length === 1 && /^\d{1,15}$/.test(values[0] as string) ? Number(values[0]) : undefined
}

/** As Go's `textproto.CanonicalMIMEHeaderKey` writes a name: `APP_NAME` is `App_name`, `TASK-ID` is `Task-Id`. */
export const canonicalName = (name: string): string =>
  name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())

/** A value that stays on its line. Go replaces line ends by spaces too, and cuts spaces at the ends. */
const lineOf = (value: string) => value.replace(/\p{Cc}/gu, ' ').trim()
