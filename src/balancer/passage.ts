import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { formatEntry, formatTiming, type Reject, totalWait, type Wait } from '../core/headers.ts'
import type { Logger } from '../core/logger.ts'
import { isCall } from '../core/routes.ts'
import type { CallOutcome, Decision, Placement } from '../placement/placement.ts'
import { Attempt } from './attempt.ts'
import { type Body, bodyOf } from './body.ts'
import type { Forwarder, ForwardFailure, RequestHead } from './forwarder.ts'
import type { FunctionTable } from './functions.ts'
import { type Reply, replyTrailers, requestHeaders, splitReply } from './heads.ts'
import { requestSource } from './http-client.ts'
import type { Members } from './members.ts'
import { readSignals, type Signals } from './signals.ts'
import type { Stats } from './stats.ts'

/** Refusals that one call may collect: enough to find room, too few to multiply an overload. */
const MAX_REFUSALS = 4

const PLAIN_TEXT = /^[\t\x20-\x7e]*$/

/** What all requests on the data port share. */
export interface Plane {
  readonly members: Members
  readonly placement: Placement
  readonly decision: Decision
  readonly functions: FunctionTable
  readonly forwarder: Forwarder
  readonly stats: Stats
  readonly clock: Clock
  readonly log: Logger
  readonly makeId: () => string
  /** Bytes; 0 = no limit. */
  readonly maxRequestSize: number
  /** The balancer is closing: connections end with the answer they carry. */
  closing: boolean
}

/**
 * One request on its way: to a node, to another one while that is safe, and back. A call is placed, anything else goes
 * to the next node. Sent again only when the node did not get it or said that it did not start: at most once.
 */
export class Passage {
  readonly #plane: Plane
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #target: string
  readonly #arrived: number
  /** -1 = no call. */
  readonly #fn: number
  readonly #callId: string | undefined
  readonly #tried: number[] = []
  #head: RequestHead | undefined
  #body: Body | undefined
  #attempt: Attempt | undefined
  #refusals = 0
  #refused: Reject | undefined
  #sentAt = 0
  #waitsForDrain = false

  /** @param target path and query of the request, in origin form */
  constructor(plane: Plane, req: IncomingMessage, res: ServerResponse, target: string) {
    const call = isCall(target)
    this.#plane = plane
    this.#req = req
    this.#res = res
    this.#target = target
    this.#arrived = plane.clock.now()
    this.#fn = call ? plane.functions.intern(plane.functions.keyOfTarget(target)) : -1
    this.#callId = call ? plane.makeId() : undefined
  }

  start(): void {
    this.#res.on('close', () => this.#closed())
    try {
      const headers = requestHeaders(this.#req, this.#callId)
      this.#head = { method: this.#req.method as string, target: this.#target, headers }
      this.#body = bodyOf(requestSource(this.#req), this.#plane.maxRequestSize)
      this.#body.whenReady(() => this.#next())
    } catch (error) {
      this.#answer(SluiceError.from(error))
    }
  }

  /** Answers without a node. */
  refuse(error: SluiceError): void {
    this.#answer(error)
  }

  #pick(): number {
    const { placement, members, decision, clock } = this.#plane
    if (this.#fn < 0) return members.next(this.#tried)
    placement.pick(this.#fn, clock.now(), this.#tried, decision)
    return decision.node
  }

  #next(): void {
    const node = this.#pick()
    if (node < 0) this.#answer(this.#noNode())
    else this.#send(node)
  }

  #send(node: number): void {
    const { placement, members, forwarder, clock } = this.#plane
    const state = members.get(node)
    if (!state || !this.#head || !this.#body) throw new Error(`node ${node} is no member`)
    this.#tried.push(node)
    this.#sentAt = clock.now()
    state.inflight++
    if (this.#fn >= 0) placement.sent(this.#fn, node, this.#sentAt)
    const attempt = new Attempt(this, state)
    this.#attempt = attempt
    attempt.exchange = forwarder.forward(state.name, this.#head, this.#body.open(), attempt)
  }

  /** A node began to answer. */
  head(attempt: Attempt, status: number, reason: string, raw: readonly string[]): void {
    this.#plane.members.answered(attempt.state)
    const reply = splitReply(raw, this.#fn >= 0, status === 204)
    const signals = this.#fn >= 0 ? readSignals(reply) : undefined
    if (signals?.reject) {
      if (this.#sendElsewhere(attempt, signals, signals.reject)) return
    } else if (signals) this.#learn(attempt, status, signals)
    if (this.#callId !== undefined) {
      reply.headers.push('Fn-Call-Id', this.#callId, 'Server-Timing', this.#timing(reply, signals?.wait))
    }
    if (this.#plane.closing) this.#res.shouldKeepAlive = false
    attempt.headed = true
    this.#res.writeHead(status, PLAIN_TEXT.test(reason) ? reason : '', reply.headers)
    // Usually the body follows at once, in one packet; a stream that begins with silence must not hide its head.
    process.nextTick(() => this.#res.flushHeaders())
  }

  /** Takes note of a refusal. Whether the call went to another node. */
  #sendElsewhere(attempt: Attempt, signals: Signals, reject: Reject): boolean {
    const { placement, members, clock } = this.#plane
    const { state } = attempt
    const load = signals.load && members.isFresh(state, signals.load) ? signals.load : undefined
    attempt.settled = true
    state.inflight--
    placement.nack(this.#fn, state.node, load, clock.now())
    if (reject === 'draining') members.drains(state)
    if (reject === 'quota' || ++this.#refusals >= MAX_REFUSALS || !this.#body?.replayable) return false
    this.#refused = reject
    const other = this.#pick()
    if (other < 0) return false
    attempt.dropped = true
    this.#send(other)
    return true
  }

  /** Tells placement and the statistics what a reply says. Only of a platform's own errors is the wait left out. */
  #learn(attempt: Attempt, status: number, signals: Signals): void {
    const { placement, members, functions, stats, clock } = this.#plane
    const { node, name } = attempt.state
    if (signals.function !== undefined && this.#target.startsWith('/t/'))
      functions.learn(this.#target, signals.function)
    const key = signals.function ?? functions.key(this.#fn)
    attempt.kind = outcomeOf(status, signals)
    const wait = attempt.kind === 'platform' ? undefined : signals.wait
    const load = signals.load && members.isFresh(attempt.state, signals.load) ? signals.load : undefined
    placement.report(functions.intern(key), node, wait, load, clock.now())
    stats.record(name, key, signals.wait && totalWait(signals.wait))
  }

  data(attempt: Attempt, chunk: Uint8Array): boolean {
    if (this.#res.write(chunk)) return true
    if (!this.#waitsForDrain) {
      this.#waitsForDrain = true
      this.#res.on('drain', () => attempt.exchange?.resume())
    }
    return false
  }

  end(attempt: Attempt, trailers: readonly string[]): void {
    this.#settle(attempt, attempt.kind)
    if (trailers.length > 0) this.#res.addTrailers(replyTrailers(trailers))
    this.#res.end()
    this.#body?.drop()
  }

  failed(attempt: Attempt, failure: ForwardFailure): void {
    const { kind, cause } = failure
    this.#settle(attempt, cause instanceof SluiceError ? 'client' : 'lost')
    if (attempt.headed) this.#cut(attempt.state.name, cause)
    else if (kind === 'connect' || kind === 'connect-timeout') {
      this.#plane.members.failed(attempt.state, cause.message)
      this.#next()
    } else this.#answer(errorOf(failure, attempt.state.name))
  }

  #settle(attempt: Attempt, kind: CallOutcome['kind']): void {
    if (attempt.settled) return
    attempt.settled = true
    attempt.state.inflight--
    if (this.#fn < 0) return
    const now = this.#plane.clock.now()
    this.#plane.placement.done(this.#fn, attempt.state.node, { kind, totalMs: now - this.#sentAt }, now)
  }

  /** The connection to the client is gone: after a whole answer that is fine, before one the node must know. */
  #closed(): void {
    if (this.#res.writableFinished) return
    const attempt = this.#attempt
    if (attempt && !attempt.settled) {
      this.#settle(attempt, 'client')
      attempt.exchange?.abort()
    }
    this.#body?.drop()
  }

  /** An answer that has begun cannot become an error: it is broken off so that nobody takes it for whole. */
  #cut(node: string, cause: Error): void {
    this.#plane.log.warn({ node, call: this.#callId, error: cause.message }, 'node was lost during an answer')
    // A client of HTTP/1.0 takes the end of the connection for the end of the answer.
    if (this.#req.httpVersionMinor === 0) this.#req.socket.resetAndDestroy()
    else this.#res.destroy()
  }

  #answer(error: SluiceError): void {
    const { log, closing } = this.#plane
    const res = this.#res
    if (res.destroyed || res.headersSent) return
    if (error.status >= 500)
      log.warn({ call: this.#callId, code: error.code, detail: error.detail }, error.message)
    if (closing) res.shouldKeepAlive = false
    const text = JSON.stringify(error)
    const headers = [
      'Content-Type',
      'application/json; charset=utf-8',
      'Content-Length',
      `${Buffer.byteLength(text)}`,
    ]
    if (error.status === 503) headers.push('Retry-After', '1')
    if (error.status === 401) headers.push('WWW-Authenticate', 'Bearer')
    if (this.#callId !== undefined) {
      const lb = this.#plane.clock.now() - this.#arrived
      headers.push('Fn-Call-Id', this.#callId, 'Server-Timing', formatEntry('lb', lb))
    }
    res.writeHead(error.status, headers)
    res.end(text)
    this.#body?.drop()
  }

  #noNode(): SluiceError {
    const detail = this.#plane.members.describe()
    if (this.#refused === undefined || this.#refused === 'quota')
      return new SluiceError('no-nodes', undefined, { detail })
    return new SluiceError(this.#refused, undefined, { detail: `refused by ${this.#refusals}; ${detail}` })
  }

  /** The node's own clocks, and as `lb` the time until the request left the balancer. */
  #timing(reply: Reply, wait: Wait | undefined): string {
    const lb = formatEntry('lb', this.#sentAt - this.#arrived)
    if (reply.timing !== undefined) return `${reply.timing}, ${lb}`
    return wait ? `${formatTiming(wait)}, ${lb}` : lb
  }
}

/** What the client is told of a request that may have reached its node. */
function errorOf({ kind, cause }: ForwardFailure, node: string): SluiceError {
  if (cause instanceof SluiceError) return cause
  if (kind === 'bad-request') return new SluiceError('invalid', undefined, { cause, detail: cause.message })
  const maybe = 'the request may have been carried out and was not sent again'
  return kind === 'lost'
    ? new SluiceError('node-lost', undefined, {
        cause,
        detail: `node ${node} closed the connection before it answered; ${maybe}`,
      })
    : new SluiceError('node-timeout', undefined, {
        cause,
        detail: `node ${node} did not begin to answer in time; ${maybe}`,
      })
}

function outcomeOf(status: number, { origin }: Signals): CallOutcome['kind'] {
  if (origin !== undefined) return origin
  return status >= 500 ? 'platform' : 'ok'
}
