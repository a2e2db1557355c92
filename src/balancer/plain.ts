import { type Dispatcher, Pool } from 'undici'
import type { Exchange, Forwarder, ForwardFailure, Receiver } from './forwarder.ts'

export interface PlainOptions {
  /** Milliseconds to connect. @default 2000 */
  readonly connectTimeout?: number
  /** Milliseconds until the head of an answer; a node bounds its calls itself. @default 360000 */
  readonly headTimeout?: number
  /** Milliseconds that an answer may stand still. @default 360000 */
  readonly idleTimeout?: number
  /** Bytes of the head of an answer. @default 131072 */
  readonly maxHeaderSize?: number
}

/** The trusted forwarder: undici, a pool of HTTP/1.1 connections per node. Request trailers are not passed on. */
export function plainForwarder(options: PlainOptions = {}): Forwarder {
  const pools = new Map<string, Pool>()
  const settings: Pool.Options = {
    allowH2: false,
    pipelining: 1,
    connect: { timeout: options.connectTimeout ?? 2_000 },
    headersTimeout: options.headTimeout ?? 360_000,
    bodyTimeout: options.idleTimeout ?? 360_000,
    maxHeaderSize: options.maxHeaderSize ?? 131_072,
  }
  const poolOf = (node: string): Pool => {
    const known = pools.get(node)
    if (known) return known
    const pool = new Pool(`http://${node}`, settings)
    pools.set(node, pool)
    return pool
  }

  return {
    forward(node, { method, target, headers }, body, receiver) {
      const relay = new Relay(receiver)
      poolOf(node).dispatch({ method, path: target, headers, body: body ?? null }, relay)
      return relay
    },
    forget(node) {
      const pool = pools.get(node)
      pools.delete(node)
      pool?.close().catch(() => {})
    },
    async [Symbol.asyncDispose]() {
      const open = [...pools.values()]
      pools.clear()
      await Promise.all(open.map((pool) => pool.destroy()))
    },
  }
}

/** One exchange: undici's events, told to a receiver. */
class Relay implements Dispatcher.DispatchHandler, Exchange {
  readonly #receiver: Receiver
  #controller: Dispatcher.DispatchController | undefined
  #aborted = false

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  resume(): void {
    this.#controller?.resume()
  }

  abort(): void {
    this.#aborted = true
    this.#controller?.abort(new Error('aborted'))
  }

  /** Called just before the first byte is written: without it, nothing was sent. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#aborted) controller.abort(new Error('aborted'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason?: string,
  ): void {
    // Interim answers are ours to use or not; nodes send none.
    if (status < 200 || this.#aborted) return
    this.#receiver.head(status, reason ?? '', texts(controller.rawHeaders))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#aborted && !this.#receiver.data(chunk)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (!this.#aborted) this.#receiver.end(texts(controller.rawTrailers))
  }

  onResponseError(_controller: unknown, cause: Error): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#receiver.failed({ kind: this.#controller ? brokenKind(cause) : unsentKind(cause), cause })
  }
}

const codeOf = (error: Error): unknown => ('code' in error ? error.code : undefined)

function unsentKind(cause: Error): ForwardFailure['kind'] {
  const code = codeOf(cause)
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'connect-timeout'
  return code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED' ? 'bad-request' : 'connect'
}

function brokenKind(cause: Error): ForwardFailure['kind'] {
  const code = codeOf(cause)
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return 'head-timeout'
  return code === 'UND_ERR_BODY_TIMEOUT' ? 'idle-timeout' : 'lost'
}

/** Header bytes are latin-1 on the wire, and stay what they were. */
function texts(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const out: string[] = []
  if (Array.isArray(raw))
    for (const item of raw) out.push(typeof item === 'string' ? item : item.toString('latin1'))
  return out
}
