import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { bodyLength } from '../http1/framing.ts'
import type { Source } from './body.ts'
import type { Client, ClientHead, ClientListener, ClientServerFactory } from './client.ts'

/** Bytes of a request's head. */
const MAX_HEAD = 131_072
/** Milliseconds that a client may take to send a request: as long as a call may take. */
const REQUEST_TIMEOUT = 360_000
const HEAD_TIMEOUT = 60_000
const KEEP_ALIVE = 75_000

/**
 * A server whose requests are {@link Client}s. What is no HTTP it answers itself, with 400, 408 or 431 and no body,
 * and closes the connection.
 */
export const httpClients: ClientServerFactory = (serve) => {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD,
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: HEAD_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE,
      noDelay: true,
      // Without this a request that asks for an upgrade would be answered by nobody.
      shouldUpgradeCallback: () => false,
    },
    (req, res) => serve(new HttpClient(req, res)),
  )
  server.maxHeadersCount = 0 // the size is limit enough
  return server
}

/** One request as node:http reads it. */
class HttpClient implements Client {
  readonly head: ClientHead
  readonly body: Source
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #listener: ClientListener | undefined
  #waits = false

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.#req = req
    this.#res = res
    this.head = headOf(req)
    this.body = sourceOf(req)
  }

  get answered(): boolean {
    return this.#res.headersSent
  }

  to(listener: ClientListener): void {
    this.#listener = listener
    this.#res.on('close', () => {
      if (!this.#res.writableFinished) listener.gone()
    })
  }

  answer(status: number, reason: string, headers: readonly string[], last: boolean): void {
    const res = this.#res
    if (res.destroyed || res.headersSent) return
    if (last) res.shouldKeepAlive = false
    res.writeHead(status, reason, headers as string[])
    // Usually the body follows at once, in one packet; a stream that begins with silence must not hide its head.
    process.nextTick(() => res.flushHeaders())
  }

  write(chunk: Uint8Array): boolean {
    if (this.#res.destroyed) return true
    if (this.#res.write(chunk)) return true
    if (!this.#waits) {
      this.#waits = true
      this.#res.on('drain', () => this.#listener?.drained())
    }
    return false
  }

  end(trailers: readonly (readonly [string, string])[]): void {
    if (this.#res.destroyed) return
    if (trailers.length > 0) this.#res.addTrailers(trailers as [string, string][])
    this.#res.end()
  }

  cut(): void {
    // A client of HTTP/1.0 takes the end of the connection for the end of the answer.
    if (this.#req.httpVersionMinor === 0) this.#req.socket.resetAndDestroy()
    else this.#res.destroy()
  }
}

function headOf(req: IncomingMessage): ClientHead {
  return {
    method: req.method as string,
    target: req.url as string,
    headers: req.rawHeaders,
    from: req.socket.remoteAddress ?? 'unknown',
    field(name) {
      const value = req.headers[name]
      return typeof value === 'string' ? value : value?.[0]
    },
  }
}

function sourceOf(req: IncomingMessage): Source {
  return {
    length: bodyLength(req.headers),
    to(sink) {
      req.pause() // to listen would start it
      req.on('data', (chunk: Buffer) => sink.data(chunk))
      req.on('end', () => sink.end())
    },
    resume: () => void req.resume(),
    pause: () => void req.pause(),
  }
}
