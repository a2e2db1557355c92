import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { errorReply } from '../core/error-reply.ts'
import { ERRORS, originOf, type SluiceError } from '../core/errors.ts'
import { first, formatTiming, formatWait, HEADER, totalWait } from '../core/headers.ts'
import { isId } from '../core/ids.ts'
import { formatLoad } from '../core/load.ts'
import { formatDuration, parseTime } from '../core/units.ts'
import { bodyLength } from '../http1/framing.ts'
import type { CallOrigin } from '../runner/protocols/environment.ts'
import { Answer } from './answer.ts'
import { awaitBeginning, type BodyListener, watchBody } from './body.ts'
import { Call } from './call.ts'
import type { CallContext, CallReceiver, CallRequest } from './call-request.ts'
import type { Resolved } from './definitions.ts'
import { invokeAnswer, invokeHeaders, requestUrl, triggerAnswer, triggerHeaders } from './function-headers.ts'
import type { LoadReport } from './load-report.ts'
import { readOn } from './read-on.ts'

/** A body of at most this many bytes is read and dropped after a refusal; beyond it the connection is closed. */
const SMALL_BODY = 64 * 1024

/** Milliseconds after which to try again when nothing can be predicted, as today's Fn says. */
const UNKNOWN_RETRY = 15_000

export interface ReplyContext extends CallContext {
  readonly makeId: () => string
  readonly load: LoadReport
  /** Milliseconds in which the beginning of a body must be here, and that it may stand still later. */
  readonly bodyTimeout: number
}

/** One call over HTTP: what it brings, and what its caller hears. Ends in one reply or one broken connection. */
export class Reply implements CallRequest, CallReceiver {
  readonly id: string
  readonly path: string
  readonly arrived: number
  readonly deadline: number | undefined
  readonly call: Call
  readonly #context: ReplyContext
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #answer: Answer
  readonly #resume = () => this.call.resume()

  constructor(context: ReplyContext, req: IncomingMessage, res: ServerResponse) {
    const { clock, makeId } = context
    const given = first(req.headers[HEADER.callId])
    const deadline = parseTime(first(req.headers[HEADER.deadline]))
    this.#context = context
    this.#req = req
    this.#res = res
    this.#answer = new Answer(req, res)
    this.id = given !== undefined && isId(given) ? given : makeId()
    this.path = pathOf(req.url as string)
    this.arrived = clock.now()
    // Of the clock, whatever becomes of the wall's.
    this.deadline = deadline === undefined ? undefined : this.arrived + deadline - clock.wall()
    this.call = new Call(context, this, this)
    res.on('close', () => this.call.leave())
  }

  get http(): IncomingMessage {
    return this.#req
  }

  get warmOnly(): boolean {
    return this.#req.headers[HEADER.warmOnly] !== undefined
  }

  get body(): Readable | undefined {
    return bodyLength(this.#req.headers) !== 0 ? this.#req : undefined
  }

  get length(): number | undefined {
    return bodyLength(this.#req.headers)
  }

  headers(resolved: Resolved): string[] {
    return resolved.source === undefined
      ? invokeHeaders(this.#req)
      : triggerHeaders(this.#req, resolved.params)
  }

  origin({ source, params }: Resolved): CallOrigin {
    return {
      method: this.#req.method as string,
      url: requestUrl(this.#req),
      route: source ?? this.path,
      params,
    }
  }

  awaitBody(enough: number, listener: BodyListener): Disposable {
    return awaitBeginning(this.#req, enough, this.#context.clock, this.#context.bodyTimeout, listener)
  }

  watchBody(still: (error: SluiceError) => void): Disposable | undefined {
    return watchBody(this.#req, this.#context.clock, this.#context.bodyTimeout, still)
  }

  wanted(): void {
    if (this.#req.headers.expect !== undefined) this.#res.writeContinue()
  }

  head(status: number, headers: IncomingHttpHeaders, raw: readonly Buffer[]): void {
    const isTrigger = this.call.resolved?.source !== undefined
    const pairs = isTrigger ? triggerAnswer(raw) : invokeAnswer(headers, raw)
    pairs.push(...this.#facts())
    this.#answer.head(status, pairs)
  }

  data(chunk: Buffer): boolean {
    return this.#answer.data(chunk, this.#resume)
  }

  end(rawTrailers: readonly Buffer[]): void {
    this.#answer.end(rawTrailers)
    const req = this.#req
    const { socket } = req
    if (req.complete || !socket) return
    // Nobody reads the rest any more: the caller would be left with a full connection.
    readOn(req, this.#context.clock, (ended) => {
      if (!ended) socket.destroySoon()
    })
  }

  fail(error: SluiceError): number | undefined {
    const res = this.#res
    // What was held back has not left: the caller gets the whole error instead. Else its answer must look broken.
    if (!this.#answer.takeBack()) {
      const seen = res.headersSent ? res.statusCode : undefined
      res.destroy()
      return seen
    }
    const { status, headers, body } = errorReply(error, {
      callId: this.id,
      retryAfter: this.#retryAfter(error),
    })
    headers.push(...this.#facts(), 'Fn-Origin', originOf(error.code))
    const { reject } = ERRORS[error.code]
    if (reject) headers.push('Fn-Reject', reject)
    const isLate = error.code === 'body-late'
    const isEarly = !this.#req.complete && !isSmall(this.#req)
    if (isEarly || isLate) headers.push('Connection', 'close')
    res.writeHead(status, headers)
    // Who asked whether to send its body has not, nor who is late with it: there is nothing to read.
    if (isEarly && !isLate && this.#req.headers.expect === undefined) {
      res.write(body)
      readOn(this.#req, this.#context.clock, () => res.end())
    } else res.end(body)
    return status
  }

  /** Milliseconds after which the caller may try again, when that means anything. */
  #retryAfter({ code, retryAfter }: SluiceError): number | undefined {
    const { of, reject } = ERRORS[code]
    if (retryAfter !== undefined || !(reject === 'busy' || code === 'busy')) return retryAfter
    const definition = of === 'node' ? this.call.resolved?.definition : undefined
    return (definition && this.#context.runner.predict(definition)) ?? UNKNOWN_RETRY
  }

  /** The headers that every answer of a node carries: what the balancer wants to know, and the user. */
  #facts(): string[] {
    const { wait, resolved, idle, ran } = this.call
    const facts = [
      'Fn-Call-Id',
      this.id,
      'FXLB-WAIT',
      formatDuration(totalWait(wait)),
      'Fn-Wait',
      formatWait(wait),
      'Fn-Load',
      formatLoad(this.#context.load.next(idle)),
      'Server-Timing',
      formatTiming(wait, ran),
    ]
    if (resolved) {
      const { definition, source = '' } = resolved
      facts.push('Fn-Function', `${definition.fn.id} ${encodeURI(source)}`.trimEnd())
    }
    return facts
  }
}

/** A target without its query: what definitions are cached under. */
function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

const isSmall = ({ headers }: IncomingMessage): boolean =>
  (bodyLength(headers) ?? Number.POSITIVE_INFINITY) <= SMALL_BODY
