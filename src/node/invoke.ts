import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import { ERRORS, type ErrorCode, messageOf, originOf, SluiceError } from '../core/errors.ts'
import {
  first,
  formatLoad,
  formatTiming,
  formatWait,
  HEADER,
  NO_WAIT,
  totalWait,
  type Wait,
} from '../core/headers.ts'
import { isId } from '../core/ids.ts'
import type { Logger } from '../core/logger.ts'
import { parseTarget } from '../core/routes.ts'
import { formatDuration, parseTime } from '../core/units.ts'
import type { Definition } from '../runner/definition.ts'
import { type CallOrigin, environment2017 } from '../runner/protocols/environment.ts'
import type { Exchange } from '../runner/protocols/exchange.ts'
import type { CallReceiver, Runner, Slot } from '../runner/runner.ts'
import { Answer } from './answer.ts'
import type { Definitions, Resolved } from './definitions.ts'
import { invokeAnswer, invokeHeaders, requestUrl, triggerAnswer, triggerHeaders } from './function-headers.ts'
import type { LoadReport } from './load-report.ts'
import type { Metrics } from './metrics.ts'
import type { CallTrace, Traces } from './traces.ts'

/** A body of at most this many bytes is read and dropped after a refusal; beyond it the connection is closed. */
const SMALL_BODY = 64 * 1024

/** Milliseconds after which to try again when nothing can be predicted, as today's Fn says. */
const UNKNOWN_RETRY = 15_000

export interface InvokeContext {
  readonly clock: Clock
  readonly log: Logger
  readonly makeId: () => string
  readonly definitions: Definitions
  readonly runner: Runner
  readonly load: LoadReport
  readonly metrics: Metrics
  readonly traces: Traces | undefined
  /** Largest request body in bytes; 0 = no limit. */
  readonly maxRequestSize: number
  readonly draining: () => boolean
}

/** Serves `/invoke/{fnID}` and `/t/{app}/{source}`: the hot path, so it allocates little and awaits only to wait. */
export function handleCall(context: InvokeContext, req: IncomingMessage, res: ServerResponse): void {
  const arrived = context.clock.now()
  const given = first(req.headers[HEADER.callId])
  const reply = new Reply(
    context,
    req,
    res,
    arrived,
    given !== undefined && isId(given) ? given : context.makeId(),
  )
  const error = admit(context, req)
  if (error) {
    reply.fail(error)
    return
  }
  const key = keyOf(req.url as string)
  const known = context.definitions.known(key)
  if (known) {
    reply.start(known)
    return
  }
  const target = parseTarget(req.url as string)
  if (!target) {
    reply.fail(new SluiceError('path-not-found', `Path not found: ${req.method} ${req.url}`))
    return
  }
  const matched = context.definitions.match(key, target)
  if (matched) reply.start(matched)
  else
    context.definitions.resolve(key, target).then(
      (resolved) => reply.start(resolved),
      (error) => reply.fail(error),
    )
}

/** What can be refused before the function is known. */
function admit({ draining, maxRequestSize }: InvokeContext, req: IncomingMessage): SluiceError | undefined {
  if (draining()) return new SluiceError('draining')
  if (req.method !== 'POST' && (req.url as string).startsWith('/invoke/')) {
    return new SluiceError('method-not-allowed', `Method not allowed: ${req.method} ${req.url}`)
  }
  const coding = req.headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    // The header ends here, so the function would not know.
    return new SluiceError('unsupported', 'Transfer-Encoding not supported', {
      detail: `only chunked is, got ${coding}`,
    })
  }
  const length = Number(req.headers['content-length'] ?? 0)
  return maxRequestSize > 0 && length > maxRequestSize ? tooLarge(length, maxRequestSize) : undefined
}

const tooLarge = (length: number, max: number) =>
  new SluiceError('too-large', `Content-Length too large for this server, ${length} > max ${max}`)

/** The target without its query: what definitions are cached under. */
function keyOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

/** One call's answer. Every path through it ends in exactly one reply or one broken connection. */
class Reply implements CallReceiver {
  readonly #context: InvokeContext
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #arrived: number
  readonly #id: string
  #resolved: Resolved | undefined
  #slot: Slot | undefined
  #exchange: Exchange | undefined
  #waiting: AbortController | undefined
  /** Until when the caller wants the answer (ms of the clock, whatever becomes of the wall's), if it said so. */
  readonly #deadline: number | undefined
  #dispatched = 0
  #wait: Wait = NO_WAIT
  #error: SluiceError | undefined
  readonly #trace: CallTrace | undefined
  readonly #answer: Answer
  readonly #resume = () => this.#exchange?.resume()

  constructor(
    context: InvokeContext,
    req: IncomingMessage,
    res: ServerResponse,
    arrived: number,
    id: string,
  ) {
    this.#context = context
    this.#req = req
    this.#res = res
    this.#arrived = arrived
    this.#id = id
    this.#answer = new Answer(req, res)
    const deadline = parseTime(first(req.headers[HEADER.deadline]))
    this.#deadline = deadline === undefined ? undefined : arrived + deadline - context.clock.wall()
    this.#trace = context.traces?.begin(req, { callId: id, arrived })
    res.on('close', () => this.#closed())
  }

  start(resolved: Resolved): void {
    this.#resolved = resolved
    const { definition } = resolved
    const { runner } = this.#context
    if (this.#res.destroyed) return
    const slot = runner.tryAcquire(definition, this.#arrived)
    if (slot) this.#run(slot)
    else if (this.#req.headers[HEADER.warmOnly] !== undefined && !runner.hasIdle(definition)) {
      this.fail(
        new SluiceError('refused', undefined, {
          detail: 'no idle instance',
          retryAfter: runner.predict(definition),
        }),
      )
    } else this.#acquire(definition)
  }

  started(slot: Slot): void {
    this.#slot = slot
    this.#wait = slot.wait
    this.#dispatched = this.#context.clock.now()
  }

  head(headers: IncomingHttpHeaders, raw: readonly Buffer[]): void {
    const trigger = this.#resolved?.source !== undefined
    const answer = trigger
      ? triggerAnswer(headers, raw)
      : { status: 200, headers: invokeAnswer(headers, raw) }
    answer.headers.push(...this.#facts())
    this.#answer.head(answer.status, answer.headers)
  }

  data(chunk: Buffer): boolean {
    return this.#answer.data(chunk, this.#resume)
  }

  end(rawTrailers: readonly Buffer[]): void {
    this.#answer.end(rawTrailers)
    this.#count(undefined)
  }

  fail(error: unknown): void {
    const { log } = this.#context
    const known = SluiceError.from(error)
    this.#error ??= known
    const fields = { call_id: this.#id, fn_id: this.#resolved?.definition.fn.id, code: known.code }
    if (known.code === 'internal')
      log.error({ ...fields, error: messageOf(error), cause: String(known.cause) }, 'call failed')
    else log.info({ ...fields, detail: known.detail }, `call failed: ${known.message}`)
    this.#count(known.code)
    // What was held back has not left: the caller gets the whole error instead. Else its answer must look broken.
    if (!this.#answer.takeBack()) {
      this.#res.destroy()
      return
    }
    const headers = ['Content-Type', 'application/json; charset=utf-8', ...this.#facts()]
    headers.push('Fn-Origin', originOf(known.code))
    const { reject } = ERRORS[known.code]
    if (reject) headers.push('Fn-Reject', reject)
    const again = this.#retryAfter(known)
    if (again !== undefined) headers.push('Retry-After', String(Math.max(1, Math.ceil(again / 1_000))))
    if (!this.#req.complete && !isSmall(this.#req)) headers.push('Connection', 'close')
    const body = `${JSON.stringify({ ...known.toJSON(), call_id: this.#id })}\n`
    headers.push('Content-Length', String(Buffer.byteLength(body)))
    this.#res.writeHead(known.status, headers)
    this.#res.end(body)
  }

  #count(error: ErrorCode | undefined): void {
    const { metrics, clock } = this.#context
    const definition = this.#resolved?.definition
    if (!definition) return
    if (this.#slot) metrics.ended(definition, this.#wait, clock.now() - this.#dispatched, error)
    else if (error) metrics.refused(definition, error)
  }

  /** Milliseconds after which the caller may try again, when that means anything. */
  #retryAfter({ code, retryAfter }: SluiceError): number | undefined {
    const { of, reject } = ERRORS[code]
    if (retryAfter !== undefined || !(reject === 'busy' || code === 'busy')) return retryAfter
    const definition = of === 'node' ? this.#resolved?.definition : undefined
    return (definition && this.#context.runner.predict(definition)) ?? UNKNOWN_RETRY
  }

  #acquire(definition: Definition): void {
    this.#waiting = new AbortController()
    const request = {
      definition,
      arrived: this.#arrived,
      deadline: this.#deadline,
      environment: () =>
        environment2017({
          definition,
          headers: [...this.#headers(), 'Fn-Call-Id', this.#id],
          origin: this.#origin(),
        }),
    }
    this.#context.runner.acquire(request, this.#waiting.signal).then(
      (slot) => this.#run(slot),
      (error: unknown) => {
        // The wait itself belongs to the answer.
        this.#wait = { queue: this.#context.clock.now() - this.#arrived, start: 0, fetch: 0 }
        this.fail(error)
      },
    )
  }

  #run(slot: Slot): void {
    const { runner, clock, maxRequestSize } = this.#context
    const deadline = this.#deadline
    if (this.#res.destroyed || (deadline !== undefined && deadline <= clock.now())) {
      runner.release(slot)
      if (!this.#res.destroyed)
        this.fail(new SluiceError('timed-out', undefined, { detail: 'the deadline had passed' }))
      return
    }
    const body = hasBody(this.#req) ? this.#req : undefined
    if (body && this.#req.headers.expect !== undefined) this.#res.writeContinue()
    if (body && maxRequestSize > 0) this.#limit(body, maxRequestSize)
    this.#exchange = runner.run(
      slot,
      { id: this.#id, headers: this.#headers(), body, deadline, origin: () => this.#origin() },
      this,
    )
  }

  /** Raw header pairs for the function. */
  #headers(): string[] {
    const isTrigger = this.#resolved?.source !== undefined
    const headers = isTrigger ? triggerHeaders(this.#req, this.#resolved?.params) : invokeHeaders(this.#req)
    this.#trace?.pass(headers)
    return headers
  }

  #origin(): CallOrigin {
    const { source, params } = this.#resolved as Resolved
    return {
      method: this.#req.method as string,
      url: requestUrl(this.#req),
      route: source ?? keyOf(this.#req.url as string),
      params,
    }
  }

  /** A body without a length is cut where the limit is. */
  #limit(body: IncomingMessage, max: number): void {
    let size = 0
    body.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > max) this.#exchange?.abort(tooLarge(size, max))
    })
    body.pause()
  }

  /** The headers that every answer of a node carries: what the balancer wants to know, and the user. */
  #facts(): string[] {
    const { runner, load, clock } = this.#context
    const wait = this.#wait
    const fn = this.#resolved?.definition.fn.id
    const pool = this.#slot?.pool
    const idle = pool ? pool.idle + (pool.waiting === 0 ? 1 : 0) : fn === undefined ? 0 : runner.idle(fn)
    const facts = [
      'Fn-Call-Id',
      this.#id,
      'FXLB-WAIT',
      formatDuration(totalWait(wait)),
      'Fn-Wait',
      formatWait(wait),
      'Fn-Load',
      formatLoad(load.next(idle)),
      'Server-Timing',
      formatTiming(wait, this.#slot && clock.now() - this.#dispatched),
    ]
    if (fn !== undefined)
      facts.push('Fn-Function', `${fn} ${encodeURI(this.#resolved?.source ?? '')}`.trimEnd())
    return facts
  }

  /** The caller's connection is gone, or the answer is complete. */
  #closed(): void {
    const finished = this.#res.writableFinished
    this.#trace?.end({
      resolved: this.#resolved,
      slot: this.#slot,
      wait: this.#wait,
      status: this.#res.headersSent ? this.#res.statusCode : undefined,
      error: this.#error ?? (finished ? undefined : new SluiceError('client-gone')),
    })
    if (finished) return
    this.#waiting?.abort()
    this.#exchange?.abort(new SluiceError('client-gone'))
  }
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'

const isSmall = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= SMALL_BODY
