import type { Readable } from 'node:stream'

/**
 * How bytes move between the balancer and a node. Knows nothing of placement, retries or load: it sends one request
 * to the node it is told, and hands over what comes back as it comes. Never repeats a request.
 */
export interface Forwarder extends AsyncDisposable {
  /** The receiver may hear of a failure before this returns. */
  forward(node: string, head: RequestHead, body: RequestBody, receiver: Receiver): Exchange
  /** The node left: its idle connections are closed, exchanges under way finish. */
  forget(node: string): void
}

/** End-to-end only: who forwards has dropped the hop-by-hop fields, the forwarder makes its own framing. */
export interface RequestHead {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** name, value, name, value, …: each name and value as the client wrote it. */
  readonly headers: string[]
}

/** All of it, a stream that is read no earlier than a connection stands, or none. */
export type RequestBody = Uint8Array | Readable | undefined

/** Hears one answer: `head`, then any number of `data`, then `end`. Or `failed` at any point, and nothing after it. */
export interface Receiver {
  /** @param headers as on the wire, hop-by-hop fields too: name, value, name, value, … */
  head(status: number, reason: string, headers: readonly string[]): void
  /** `false` asks for a pause until {@link Exchange.resume}; a little more may still come. */
  data(chunk: Uint8Array): boolean
  end(trailers: readonly string[]): void
  failed(failure: ForwardFailure): void
}

/** A request under way. */
export interface Exchange {
  resume(): void
  /** Cuts the connection, so that the node notices. The receiver hears nothing more. */
  abort(): void
}

export interface ForwardFailure {
  /**
   * `connect`, `connect-timeout`: nothing was sent. `bad-request`: it cannot be sent to any node. `lost`: the
   * connection broke. `head-timeout`: no answer began in time. `idle-timeout`: the answer stood still for too long.
   */
  readonly kind: 'connect' | 'connect-timeout' | 'bad-request' | 'lost' | 'head-timeout' | 'idle-timeout'
  readonly cause: Error
}
