import {
  type Attributes,
  type Context,
  createTraceState,
  type HrTime,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Clock } from '../core/clock.ts'
import { ERRORS, type SluiceError } from '../core/errors.ts'
import { first, HEADER, type Wait } from '../core/headers.ts'
import {
  formatTraceparent,
  formatTracestate,
  parseTraceContext,
  TRACE_FLAG,
  type TraceContext,
  type TraceIds,
} from '../core/trace-context.ts'
import type { BegunCall, CallObserver, CallWatch, HttpFacts, RanIn } from './call-record.ts'

/** What a node does for tracing. A node without one passes `traceparent` and `tracestate` through untouched. */
export interface Traces extends CallObserver {
  /** `undefined` when tracing itself is at fault; the call goes on without. */
  begin(call: BegunCall): CallTrace | undefined
}

/** One call in its trace. Neither method throws. */
export interface CallTrace extends CallWatch {
  /**
   * Puts the call's context among the raw header pairs that go to the function, in place of the caller's own; for
   * triggers also where those find what their caller sent. The same each time.
   */
  pass(headers: string[]): void
  /** The call is over, as its caller saw it; what comes later is ignored. */
  end(outcome: CallOutcome): void
}

/** What of a {@link CallRecord} a trace tells. */
export interface CallOutcome {
  readonly resolved: ResolvedCall | undefined
  readonly slot: Pick<RanIn, 'granted' | 'cold'> | undefined
  readonly wait: Wait
  readonly status: number | undefined
  readonly error: SluiceError | undefined
}

export interface ResolvedCall {
  readonly definition: {
    readonly app: { readonly name: string }
    readonly fn: { readonly id: string; readonly name: string }
  }
  /** The trigger's path; `undefined` for a call by function id. */
  readonly source: string | undefined
}

/**
 * Ids in the form that OpenTelemetry's SDK asks for. A span can be given an id that was known before it: the function
 * is told its parent's id before anybody knows when that span begins.
 */
export class SpanIds {
  readonly #ids: TraceIds
  #given: string | undefined

  constructor(ids: TraceIds) {
    this.#ids = ids
  }

  generateTraceId(): string {
    return this.#ids.traceId()
  }

  generateSpanId(): string {
    return this.#given ?? this.#ids.spanId()
  }

  /** Every span that `start` starts has this id. */
  give(id: string, start: () => Span): Span {
    this.#given = id
    try {
      return start()
    } finally {
      this.#given = undefined
    }
  }
}

/** What spans are made with. */
export interface TraceTools {
  readonly tracer: Tracer
  /** The ones that the tracer takes too. */
  readonly ids: SpanIds
  readonly clock: Clock
  /** Told what went wrong in tracing itself. */
  readonly failed: (error: unknown) => void
}

/**
 * Spans of calls, made with OpenTelemetry's API: `invoke <app>/<fn>`, and under it `queue`, `fetch`, `start` (each
 * when it took time) and `run`, which is the parent of what the function itself traces.
 */
export function callTraces(tools: TraceTools): Traces {
  return {
    begin(call) {
      try {
        return new SpannedCall(tools, call)
      } catch (error) {
        tools.failed(error)
        return undefined
      }
    },
  }
}

/** Characters of a path that a span keeps. */
const LONGEST_PATH = 1_024

/** A call that did not come over HTTP. */
const NO_HTTP: HttpFacts = { headers: {} }

class SpannedCall implements CallTrace {
  readonly #tools: TraceTools
  readonly #arrived: number
  /** Epoch milliseconds at 0 of the clock. Taken once a call, so that a wall clock that is set meanwhile bends nothing. */
  readonly #epoch: number
  readonly #parent: TraceContext | undefined
  readonly #span: Span
  readonly #context: Context
  /** Of the span `run`. */
  readonly #runId: string
  readonly #trigger: boolean

  constructor(tools: TraceTools, { id: callId, arrived, http: req = NO_HTTP }: BegunCall) {
    const { tracer, ids, clock } = tools
    const { traceparent, tracestate } = req.headers
    this.#tools = tools
    this.#arrived = arrived
    this.#epoch = clock.wall() - clock.now()
    this.#trigger = req.url?.startsWith('/t/') === true
    this.#parent = parseTraceContext(first(traceparent), first(tracestate))
    const root = this.#parent ? trace.setSpanContext(ROOT_CONTEXT, remote(this.#parent)) : ROOT_CONTEXT
    const attributes = arrivalAttributes(req, callId)
    const startTime = this.#time(arrived)
    this.#span = tracer.startSpan('invoke', { kind: SpanKind.SERVER, startTime, attributes }, root)
    this.#context = trace.setSpan(root, this.#span)
    this.#runId = ids.generateSpanId()
  }

  pass(headers: string[]): void {
    this.#try(() => {
      const { traceId, traceFlags } = this.#span.spanContext()
      const flags = (traceFlags & TRACE_FLAG.sampled) | ((this.#parent?.flags ?? 0) & TRACE_FLAG.random)
      const state = this.#parent ? formatTracestate(this.#parent.state) : ''
      const traceparent = formatTraceparent({ traceId, spanId: this.#runId, flags })
      replaceContext(headers, traceparent, state, this.#trigger)
    })
  }

  end(outcome: CallOutcome): void {
    if (this.#span.isRecording()) this.#try(() => this.#record(outcome))
  }

  #record(outcome: CallOutcome): void {
    const { resolved, slot, wait, error } = outcome
    const ended = this.#tools.clock.now()
    const failure = failureOf(outcome)
    this.#phases(wait, slot?.granted ?? ended)
    if (slot) {
      const run = this.#tools.ids.give(this.#runId, () => this.#child('run', slot.granted, SpanKind.CLIENT))
      if (error && failure) run.setStatus(failure)
      run.end(this.#time(ended))
    }
    if (resolved)
      this.#span.updateName(`invoke ${resolved.definition.app.name}/${resolved.definition.fn.name}`)
    if (failure) this.#span.setStatus(failure)
    this.#span.setAttributes(outcomeAttributes(outcome))
    this.#span.end(this.#time(ended))
  }

  /** The clocks of the wait, one after another from the arrival on; none reaches beyond `until`. */
  #phases({ queue, fetch, start }: Wait, until: number): void {
    let at = this.#arrived
    for (const [name, ms] of Object.entries({ queue, fetch, start })) {
      const end = Math.min(at + ms, until)
      if (end <= at) continue
      this.#child(name, at, SpanKind.INTERNAL).end(this.#time(end))
      at = end
    }
  }

  #child(name: string, from: number, kind: SpanKind): Span {
    return this.#tools.tracer.startSpan(name, { kind, startTime: this.#time(from) }, this.#context)
  }

  /** A time on the clock as OpenTelemetry wants it: seconds and nanoseconds since the epoch. */
  #time(at: number): HrTime {
    const ms = this.#epoch + at
    const seconds = Math.floor(ms / 1_000)
    return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)]
  }

  #try(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#tools.failed(error)
    }
  }
}

const remote = ({ traceId, spanId, flags, state }: TraceContext) => ({
  traceId,
  spanId,
  traceFlags: flags & TRACE_FLAG.sampled,
  isRemote: true,
  ...(state.size > 0 && { traceState: createTraceState(formatTracestate(state)) }),
})

/**
 * What is known at once, by the semantic conventions for HTTP servers and for functions. The query is left out: it
 * belongs to the function and may hold secrets.
 */
function arrivalAttributes({ method, url, headers }: HttpFacts, callId: string): Attributes {
  const [, address, port] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(headers.host ?? '') ?? []
  return {
    'http.request.method': method,
    'url.path': url?.slice(0, LONGEST_PATH).split('?', 1)[0],
    'url.scheme': url && 'http',
    'server.address': address,
    'server.port': port === undefined ? undefined : Number(port),
    'faas.trigger': url === undefined ? 'other' : 'http',
    'faas.invocation_id': callId,
  }
}

function outcomeAttributes({ resolved, slot, wait, status, error }: CallOutcome): Attributes {
  return {
    'http.response.status_code': status,
    'error.type': error?.code ?? (status !== undefined && status >= 500 ? String(status) : undefined),
    'faas.coldstart': slot?.cold,
    'sluice.queue_ms': wait.queue,
    'sluice.start_ms': wait.start,
    'sluice.fetch_ms': wait.fetch,
    ...(resolved && {
      'http.route': routeOf(resolved),
      'sluice.app': resolved.definition.app.name,
      'sluice.fn': resolved.definition.fn.name,
      'sluice.fn_id': resolved.definition.fn.id,
    }),
  }
}

const routeOf = ({ definition, source }: ResolvedCall) =>
  source === undefined ? '/invoke/{fn_id}' : `/t/${definition.app.name}${source}`

/** An error is one of the server's side: a refused request or a caller that went away is none (as HTTP spans have it). */
function failureOf({ status = 0, error }: CallOutcome): SpanStatus | undefined {
  if (error && ERRORS[error.code].status >= 500) {
    const { message, detail } = error
    return { code: SpanStatusCode.ERROR, message: detail === undefined ? message : `${message}: ${detail}` }
  }
  return status >= 500 ? { code: SpanStatusCode.ERROR } : undefined
}

const CONTEXT_HEADERS: ReadonlySet<string> = new Set(
  ['traceparent', 'tracestate'].flatMap((name) => [name, `${HEADER.httpPrefix}${name}`]),
)

function replaceContext(headers: string[], parent: string, state: string, trigger: boolean): void {
  let kept = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (CONTEXT_HEADERS.has(name.toLowerCase())) continue
    headers[kept++] = name
    headers[kept++] = headers[i + 1] as string
  }
  headers.length = kept
  for (const prefix of trigger ? ['', 'Fn-Http-H-'] : ['']) {
    headers.push(`${prefix}traceparent`, parent)
    if (state !== '') headers.push(`${prefix}tracestate`, state)
  }
}
