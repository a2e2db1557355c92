import { SluiceError } from '../core/errors.ts'
import { formatEntry, formatTiming, type Reject, totalWait, type Wait } from '../core/headers.ts'
import { Dispatch } from '../placement/dispatch.ts'
import type { KnownNode } from '../placement/nodes.ts'
import type { CallOutcome } from '../placement/placement.ts'
import { Attempt, type Attempter } from './attempt.ts'
import { type Body, bodyOf } from './body.ts'
import type { Client, ClientListener } from './client.ts'
import type { ForwardFailure, RequestHead } from './forwarder.ts'
import { type Reply, replyTrailers, requestHeaders, splitReply } from './heads.ts'
import { answerError } from './own-answer.ts'
import type { Outcome, Plane } from './plane.ts'
import { readSignals, type Signals } from './signals.ts'

const PLAIN_TEXT = /^[\t\x20-\x7e]*$/

/** What is known of a request that is a call. */
interface Call {
  readonly id: string
  /** The text that it is placed by. */
  readonly key: string
}

/**
 * The bytes of one request on their way to a node and back. Where it goes, and whether it goes on after a refusal or
 * a failed connect, its {@link Dispatch} says; to more than one node only while none has started it.
 */
export class Passage implements ClientListener, Attempter {
  readonly #plane: Plane
  readonly #client: Client
  readonly #target: string
  readonly #arrived: number
  readonly #call: Call | undefined
  readonly #dispatch: Dispatch
  #head: RequestHead | undefined
  #body: Body | undefined
  #attempt: Attempt | undefined
  #outcome: Outcome | undefined
  #isOver = false

  /** @param target path and query of the request, in origin form */
  constructor(plane: Plane, client: Client, target: string, isCall: boolean) {
    this.#plane = plane
    this.#client = client
    this.#target = target
    this.#arrived = plane.clock.now()
    const { functions } = plane
    this.#call = isCall ? { id: plane.makeId(), key: functions.keyOfTarget(target) } : undefined
    this.#dispatch = this.#call
      ? new Dispatch(plane.calls, functions.intern(this.#call.key))
      : new Dispatch(plane.others, 0)
  }

  start(): void {
    const { head, body } = this.#client
    this.#client.to(this)
    try {
      const headers = requestHeaders(head, this.#call?.id)
      this.#head = { method: head.method, target: this.#target, headers }
      this.#body = bodyOf(body, this.#plane.maxRequestSize)
      this.#body.whenReady(() => this.#send(this.#dispatch.begin(this.#now)))
    } catch (error) {
      this.#answer(SluiceError.from(error), 'client')
    }
  }

  get #now(): number {
    return this.#plane.clock.now()
  }

  #send(node: KnownNode | undefined): void {
    if (!node) {
      this.#answer(this.#noNode(), 'unplaced')
      return
    }
    const member = this.#plane.members.get(node)
    if (!member || !this.#head || !this.#body) throw new Error(`node ${node.name} is no member`)
    member.requests++
    const attempt = new Attempt(this, member)
    this.#attempt = attempt
    attempt.exchange = this.#plane.forwarder.forward(node.name, this.#head, this.#body.open(), attempt)
  }

  /** A node began to answer. */
  head(attempt: Attempt, status: number, reason: string, raw: readonly string[]): void {
    this.#plane.members.answered(attempt.member)
    const reply = splitReply(raw, this.#call !== undefined, status === 204)
    const signals = this.#call && readSignals(reply)
    if (signals?.reject) {
      if (this.#goesElsewhere(attempt, signals, signals.reject)) return
      this.#outcome = 'refused'
    } else this.#learn(status, signals)
    if (this.#call)
      reply.headers.push('Fn-Call-Id', this.#call.id, 'Server-Timing', this.#timing(reply, signals?.wait))
    this.#client.answer(status, PLAIN_TEXT.test(reason) ? reason : '', reply.headers, this.#plane.closing)
  }

  /** Takes note of a refusal. Whether the call went to another node. */
  #goesElsewhere(attempt: Attempt, { load }: Signals, reject: Reject): boolean {
    const next = this.#dispatch.refused(reject, load, this.#body?.replayable === true, this.#now)
    if (!next) return false
    attempt.dropped = true
    this.#send(next)
    return true
  }

  /** Tells placement and the statistics what a reply says. */
  #learn(status: number, signals: Signals | undefined): void {
    const kind = outcomeOf(status, signals)
    this.#outcome = kind
    this.#dispatch.answered({ kind, wait: signals?.wait, load: signals?.load }, this.#now)
    if (!this.#call || !signals) return
    const { functions, stats } = this.#plane
    const resolved = signals.function
    // Placed by its function: nothing is left to learn.
    if (resolved?.source !== undefined && resolved.id !== this.#call.key)
      functions.learn(this.#target, resolved.source, resolved.id)
    const name = this.#dispatch.at?.name ?? ''
    stats.record(name, resolved?.id ?? this.#call.key, signals.wait && totalWait(signals.wait))
  }

  data(_attempt: Attempt, chunk: Uint8Array): boolean {
    return this.#client.write(chunk)
  }

  drained(): void {
    this.#attempt?.exchange?.resume()
  }

  end(_attempt: Attempt, trailers: readonly string[]): void {
    this.#dispatch.ended(this.#now)
    this.#client.end(replyTrailers(trailers))
    this.#over(this.#outcome ?? 'ok')
  }

  failed(attempt: Attempt, failure: ForwardFailure): void {
    const { members } = this.#plane
    const { kind, cause } = failure
    const { name } = attempt.member.known
    if (kind === 'connect' || kind === 'connect-timeout') {
      members.failed(attempt.member, cause.message)
      this.#send(this.#dispatch.unreached(this.#now))
      return
    }
    const isClients = cause instanceof SluiceError || kind === 'bad-request'
    if (isClients) this.#dispatch.left(this.#now)
    else {
      attempt.member.faults++
      this.#dispatch.lost(this.#now)
    }
    if (this.#client.answered) this.#cut(name, cause)
    else this.#answer(errorOf(failure, name), isClients ? 'client' : 'lost')
  }

  /** The connection to the client is gone before a whole answer: the node must know. */
  gone(): void {
    this.#dispatch.left(this.#now)
    this.#attempt?.abort()
    this.#over('client')
  }

  /** An answer that has begun cannot become an error: it is broken off so that nobody takes it for whole. */
  #cut(node: string, cause: Error): void {
    this.#plane.log.warn(
      { node, call: this.#call?.id, error: cause.message },
      'node was lost during an answer',
    )
    this.#over('lost')
    this.#client.cut()
  }

  #answer(error: SluiceError, outcome: Outcome): void {
    if (this.#client.answered) return
    const call = this.#call && { id: this.#call.id, lb: this.#now - this.#arrived }
    if (error.status >= 500)
      this.#plane.log.warn({ call: call?.id, code: error.code, detail: error.detail }, error.message)
    answerError(this.#client, error, call, this.#plane.closing)
    this.#over(outcome)
  }

  /** Nothing more is expected; only what is first said of it counts. */
  #over(outcome: Outcome): void {
    this.#body?.drop()
    if (this.#isOver || !this.#call) return
    this.#isOver = true
    this.#plane.outcomes[outcome]++
  }

  #noNode(): SluiceError {
    const detail = this.#plane.members.describe()
    const { reject, refusals } = this.#dispatch
    if (reject === undefined || reject === 'quota') return new SluiceError('no-nodes', undefined, { detail })
    return new SluiceError(reject, undefined, { detail: `refused by ${refusals}; ${detail}` })
  }

  /** The node's own clocks, and as `lb` the time until the request left the balancer. */
  #timing(reply: Reply, wait: Wait | undefined): string {
    const lb = formatEntry('lb', this.#dispatch.sentAt - this.#arrived)
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

function outcomeOf(status: number, signals: Signals | undefined): CallOutcome['kind'] & Outcome {
  if (signals?.origin !== undefined) return signals.origin
  return status >= 500 ? 'platform' : 'ok'
}
