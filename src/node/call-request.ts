import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../core/clock.ts'
import type { SluiceError } from '../core/errors.ts'
import type { CallOrigin } from '../runner/protocols/environment.ts'
import type { Body, Receiver } from '../runner/protocols/exchange.ts'
import type { Runner } from '../runner/runner.ts'
import type { BodyListener } from './body.ts'
import type { CallObserver, HttpFacts } from './call-record.ts'
import type { Definitions, Resolved } from './definitions.ts'

/** One call as it comes in, whoever brings it: HTTP, a queue, a schedule, a test. */
export interface CallRequest {
  readonly id: string
  /** What is called, percent-encoded, without a query: `/invoke/<id>` or `/t/<app><source>`. */
  readonly path: string
  /** When it came (ms of the clock). @default when it is begun */
  readonly arrived?: number
  /** Raw header pairs for the function, now that it is known what the path led to. May be asked twice. */
  headers(resolved: Resolved): string[]
  readonly body: Body | undefined
  /** Bytes of the body, where that is known ahead. */
  readonly length?: number | undefined
  /** Tells when so many bytes of the body are here, or all of it. Absent: they are. */
  awaitBody?(enough: number, listener: BodyListener): Disposable
  /** Tells when the body stands still while the call runs. */
  watchBody?(still: (error: SluiceError) => void): Disposable | undefined
  /** Until when the answer is wanted (ms of the clock). */
  readonly deadline?: number | undefined
  /** Only an idle instance may take it. */
  readonly warmOnly?: boolean | undefined
  /** How often it was begun, this time included. @default 1 */
  readonly attempt?: number
  /** Aborted when the answer is not wanted any more. Who has no signal calls `leave` of the call. */
  readonly signal?: AbortSignal | undefined
  readonly http?: HttpFacts | undefined
  /** What was asked for in the words of 2017; only some formats ask. @default a POST of the path */
  origin?(resolved: Resolved): CallOrigin
}

/** Who gets the answer: `head`, `data` and `end`, or `fail` once, before or after the head. */
export interface CallReceiver extends Pick<Receiver, 'data' | 'end'> {
  /** The call is not refused: the rest of its body is wanted now. */
  wanted?(): void
  /** @param status of a trigger's answer, what the function says there; else 200 */
  head(status: number, headers: IncomingHttpHeaders, raw: readonly Buffer[]): void
  /** @returns the status that the caller has seen, or `undefined` when there is none to be seen */
  fail(error: SluiceError): number | undefined
}

/** What all calls of a node share. */
export interface CallContext {
  readonly clock: Clock
  readonly definitions: Definitions
  readonly runner: Runner
  readonly observers: readonly CallObserver[]
  /** Largest body in bytes; 0 = no limit. */
  readonly maxRequestSize: number
}
