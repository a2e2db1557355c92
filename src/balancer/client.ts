import type { Server } from 'node:net'
import type { Source } from './body.ts'

/** A request's head as the client sent it. */
export interface ClientHead {
  readonly method: string
  /** As on the request line. */
  readonly target: string
  /** name, value, name, value, …, hop-by-hop fields too. */
  readonly headers: readonly string[]
  /** The value of a field by its lower-case name; of several the first, of lists all. */
  field(name: string): string | undefined
  /** The address that it came from. */
  readonly from: string
}

/**
 * One request on the data port, and the way to answer it: the client's side, as a forwarder is the nodes'. Knows
 * nothing of placement. It frames its answers itself, drops what a HEAD, a 204 or a 304 must not have, answers
 * `Expect: 100-continue`, and keeps the answers of pipelined requests in order.
 */
export interface Client {
  readonly head: ClientHead
  readonly body: Source
  /** Whether the head of an answer has been given. */
  readonly answered: boolean
  /** Says who hears of what becomes of the connection. Once, before anything else. */
  to(listener: ClientListener): void
  /**
   * The head of the answer, end-to-end fields only. It reaches the client soon, whether or not a body follows.
   * @param last the connection ends with this answer
   */
  answer(status: number, reason: string, headers: readonly string[], last: boolean): void
  /** `false` asks for a pause until {@link ClientListener.drained}; a little more may still come. */
  write(chunk: Uint8Array): boolean
  /** The answer is whole. @param trailers pairs; left out where the client cannot read them */
  end(trailers: readonly (readonly [string, string])[]): void
  /** The answer will never be whole: breaks the connection off, so that nobody takes it for whole. */
  cut(): void
}

export interface ClientListener {
  /** The client reads again. */
  drained(): void
  /** The connection is gone before the answer was whole. */
  gone(): void
}

/** A server that makes a client of every request that it can read, and answers what it cannot read itself. */
export interface ClientServer extends Server {
  closeAllConnections(): void
}

export type ClientServerFactory = (serve: (client: Client) => void) => ClientServer
