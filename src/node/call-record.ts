import type { IncomingHttpHeaders } from 'node:http'
import type { SluiceError } from '../core/errors.ts'
import type { Wait } from '../core/headers.ts'
import type { Slot } from '../runner/runner.ts'
import type { StartRecord } from '../runner/start-log.ts'
import type { Resolved } from './definitions.ts'

/** What became of one call. There is exactly one for each call that began, made at its end. */
export interface CallRecord {
  readonly id: string
  /** When it came (ms of the clock). */
  readonly arrived: number
  /** How often it was begun, this time included. */
  readonly attempt: number
  /** What the path led to, as far as it came to that. */
  readonly resolved: Resolved | undefined
  /** Where it ran, if it did. */
  readonly slot: RanIn | undefined
  /** What it waited, also when it never ran. */
  readonly wait: Wait
  /** Milliseconds from dispatch to the end; `undefined` when it never ran. */
  readonly run: number | undefined
  /** HTTP status that its caller has seen, or would have over HTTP; `undefined` when there was no answer. */
  readonly status: number | undefined
  readonly error: SluiceError | undefined
  /** Bytes of the body that came in, and of the one that went out, as far as they went. */
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface RanIn {
  readonly container: string
  /** Since when (ms of the clock). */
  readonly granted: number
  /** The container had not served before. */
  readonly cold: boolean
  /** Why that container was started; of a hot one too. */
  readonly why: StartRecord['reason'] | undefined
}

export const ranIn = ({ instance, granted, cold }: Slot): RanIn => ({
  container: instance.body.id,
  granted,
  cold,
  why: instance.body.why,
})

/** What came over HTTP, for those who tell of it. */
export interface HttpFacts {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** A call that has just begun. */
export interface BegunCall {
  readonly id: string
  readonly arrived: number
  readonly http?: HttpFacts | undefined
}

/**
 * Sees calls come and go: metrics, traces, the log, records. No call waits for it, and it throws nothing. Whoever needs
 * no state of a call may return the same watch for all.
 */
export interface CallObserver {
  /** @returns who is told of the rest of this call, if anybody is to be */
  begin(call: BegunCall): CallWatch | undefined
}

export interface CallWatch {
  /** Changes the raw header pairs that go to the function. The same each time. */
  pass?(headers: string[]): void
  /** It has its slot. */
  started?(call: BegunCall, ran: RanIn): void
  /** It is over. What comes later is ignored. */
  end?(record: CallRecord): void
}
