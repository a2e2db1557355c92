import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import type { SluiceError } from '../../core/errors.ts'

/** Of a call: as it comes, or whole. */
export type Body = Readable | Uint8Array

/** What goes to the function, complete: raw header pairs with `Fn-Call-Id` and `Fn-Deadline` among them. */
export interface FunctionRequest {
  readonly headers: readonly string[]
  /** Whole where it is here already: that costs the least on its way. */
  readonly body: Body | undefined
  /** Milliseconds from dispatch to the last byte of the answer. */
  readonly timeoutMs: number
  /** Largest body of an answer in bytes; 0 = no limit. */
  readonly maxResponseSize: number
  /** What functions of 2017 read from their environment; made on demand, since other formats never ask. */
  readonly environment: () => Readonly<Record<string, string>>
}

/** Where the answer goes: `head` once, then `data`, then `end`; or `fail` once, before or after the head. */
export interface Receiver {
  /** The function's own status and headers travel as `Fn-Http-Status` and `Fn-Http-H-*`, whatever the protocol. */
  head(headers: IncomingHttpHeaders, raw: readonly Buffer[]): void
  /** Returns false to pause the function until {@link Exchange.resume}. */
  data(chunk: Buffer): boolean
  end(rawTrailers: readonly Buffer[]): void
  fail(error: SluiceError): void
}

/** `discard`: the container may still be busy or is beyond trust; no other call may reach it. */
export type Verdict = 'keep' | 'discard'

/** What an exchange needs around it. */
export interface Surroundings {
  readonly clock: Clock
  /** Adds to a lost connection what the container's end tells; asked before `fail`. */
  readonly explain: (error: SluiceError) => Promise<SluiceError>
  /** Told exactly once, after the receiver heard the last of it. */
  readonly settled: (verdict: Verdict) => void
}

/** One call on its way through a container. */
export interface Exchange {
  /** Ends the call now; its container is discarded, since it may still be busy. */
  abort(error: SluiceError): void
  /** The receiver can take more. */
  resume(): void
}

/** How calls reach one container. */
export interface Connection {
  exchange(request: FunctionRequest, receiver: Receiver, around: Surroundings): Exchange
  /** Cuts what is open. */
  close(): Promise<void>
}
