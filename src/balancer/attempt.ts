import type { CallOutcome } from '../placement/placement.ts'
import type { Exchange, ForwardFailure, Receiver } from './forwarder.ts'
import type { NodeState } from './members.ts'
import type { Passage } from './passage.ts'

/** Bytes of a refusal's body that are read to keep the connection. */
const MAX_DROPPED = 65_536

/** One sending of a request to one node. Keeps what its node says apart from what the next one says. */
export class Attempt implements Receiver {
  readonly state: NodeState
  exchange: Exchange | undefined
  /** It is no longer outstanding. */
  settled = false
  /** The client has the head of its answer. */
  headed = false
  /** The call went to another node: the rest of this answer is thrown away. */
  dropped = false
  kind: CallOutcome['kind'] = 'ok'
  readonly #passage: Passage
  #droppedBytes = 0

  constructor(passage: Passage, state: NodeState) {
    this.#passage = passage
    this.state = state
  }

  head(status: number, reason: string, headers: readonly string[]): void {
    this.#passage.head(this, status, reason, headers)
  }

  data(chunk: Uint8Array): boolean {
    if (!this.dropped) return this.#passage.data(this, chunk)
    this.#droppedBytes += chunk.length
    if (this.#droppedBytes > MAX_DROPPED) this.exchange?.abort()
    return true
  }

  end(trailers: readonly string[]): void {
    if (!this.dropped) this.#passage.end(this, trailers)
  }

  failed(failure: ForwardFailure): void {
    if (!this.dropped) this.#passage.failed(this, failure)
  }
}
