import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { errorReply } from '../core/error-reply.ts'
import { type ErrorCode, originOf, SluiceError } from '../core/errors.ts'
import { formatWait, NO_WAIT } from '../core/headers.ts'
import { formatLoad } from '../core/load.ts'
import type { LoadReport } from './load-report.ts'

/** What the parser's complaints are in our words; all others are bytes that are no HTTP. */
const COMPLAINTS: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'head-too-large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

/**
 * Answers what never becomes a request, as every answer of a node: with the facts that a balancer wants to know. Then
 * the connection is closed; nothing else on it can be understood.
 */
export function refuseBytes(load: LoadReport): (error: Error, socket: Socket) => void {
  return (error, socket) => {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code !== 'ECONNRESET' && socket.writable && !isAnswering(socket)) {
      const known = new SluiceError(COMPLAINTS[code] ?? 'invalid', undefined, { detail: error.message })
      socket.write(bytesOf(known, load))
    }
    socket.destroy(error)
  }
}

function bytesOf(error: SluiceError, load: LoadReport): string {
  const { status, headers, body } = errorReply(error)
  headers.push('FXLB-WAIT', '0s', 'Fn-Wait', formatWait(NO_WAIT), 'Fn-Load', formatLoad(load.next(0)))
  headers.push('Fn-Origin', originOf(error.code), 'Connection', 'close')
  let lines = ''
  for (let i = 0; i < headers.length; i += 2) lines += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${body}`
}

/** Whether an answer has begun that other bytes would end up in. Only Node itself knows which one is the socket's turn. */
function isAnswering(socket: Socket): boolean {
  const { _httpMessage: answer } = socket as { _httpMessage?: ServerResponse | null }
  return answer?.headersSent === true
}
