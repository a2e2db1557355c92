import type { Exchange, ForwardFailure, Receiver } from './forwarder.ts'
import type { Member } from './members.ts'

/** Bytes of a refusal's body that are read to keep the connection. */
const MAX_DROPPED = 65_536

/** Who made an attempt, and hears what becomes of it while it is the one that counts. */
export interface Attempter {
  head(attempt: Attempt, status: number, reason: string, headers: readonly string[]): void
  data(attempt: Attempt, chunk: Uint8Array): boolean
  end(attempt: Attempt, trailers: readonly string[]): void
  failed(attempt: Attempt, failure: ForwardFailure): void
}

/** One sending of a request to one node. Keeps what its node says apart from what the next one says. */
export class Attempt implements Receiver {
  readonly member: Member
  exchange: Exchange | undefined
  /** The request went to another node: the rest of this answer is thrown away. */
  dropped = false
  readonly #owner: Attempter
  #droppedBytes = 0
  #ended = false

  constructor(owner: Attempter, member: Member) {
    this.#owner = owner
    this.member = member
  }

  head(status: number, reason: string, headers: readonly string[]): void {
    this.#owner.head(this, status, reason, headers)
  }

  data(chunk: Uint8Array): boolean {
    if (!this.dropped) return this.#owner.data(this, chunk)
    this.#droppedBytes += chunk.length
    if (this.#droppedBytes > MAX_DROPPED) this.exchange?.abort()
    return true
  }

  end(trailers: readonly string[]): void {
    this.#ended = true
    if (!this.dropped) this.#owner.end(this, trailers)
  }

  failed(failure: ForwardFailure): void {
    this.#ended = true
    if (!this.dropped) this.#owner.failed(this, failure)
  }

  /** Cuts the connection to the node, unless its answer is whole: the connection may be another request's by now. */
  abort(): void {
    if (!this.#ended) this.exchange?.abort()
    this.#ended = true
  }
}
