import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'

/** What one call gets instead of an answer: it does with the connection as it likes. */
export type Script = (connection: Socket, request: IncomingMessage) => unknown

/** A function whose answers are raw bytes. Calls that ask for no script get `own:` and their own body. */
export interface RawFunction {
  readonly server: Server
  /** Called for each call with the header `X-Script`, as soon as the head of its request is there. */
  script: Script
  /** Connections yet to come that are accepted and never read. */
  deaf: number
  /** Connections that the node has not closed, as far as they were read. */
  readonly open: ReadonlySet<Socket>
}

/** The header that asks for {@link RawFunction.script}. */
export const SCRIPTED = { 'X-Script': '1' }

export function rawFunction(): RawFunction {
  const open = new Set<Socket>()
  const http = createHttpServer({ maxHeaderSize: 2 ** 22 }, (req) => {
    if (req.headers['x-script'] ?? req.headers['fn-http-h-x-script']) fn.script(req.socket, req)
    else
      text(req).then(
        (body) => req.socket.write(answer(`own:${body}`)),
        () => {}, // the caller has gone
      )
  })
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (connection) => {
    open.add(connection)
    for (const end of ['end', 'close']) connection.on(end, () => open.delete(connection))
    connection.on('error', () => {})
    if (fn.deaf-- > 0) return
    http.emit('connection', connection)
    connection.resume()
  })
  const fn: RawFunction = { server, script: () => {}, deaf: 0, open }
  return fn
}

/** A whole answer with a length; `headers` are complete lines. */
export const answer = (body: string, status = '200 OK', headers = ''): string =>
  `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`

/** Writes bytes, given as latin1, and leaves the connection open. */
export const say =
  (bytes: string): Script =>
  (connection) =>
    connection.write(bytes, 'latin1')

/** Writes bytes, given as latin1, and closes the connection. */
export const sayLast =
  (bytes: string): Script =>
  (connection) =>
    connection.end(bytes, 'latin1')
