import type { IncomingHttpHeaders } from 'node:http'
import { Client, type Dispatcher, Pool } from 'undici'
import { nextTurn } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { HEADER } from '../../core/headers.ts'
import { headerOf } from '../../http1/raw-headers.ts'
import type { Connection, Exchange, FunctionRequest, Receiver, Surroundings, Verdict } from './exchange.ts'
import { Outcome } from './outcome.ts'
import { type Turn, Turns } from './turns.ts'

const TURN = HEADER.turn

export interface HttpStreamOptions {
  /** Of the container; nobody else's. */
  readonly id: string
  /** Path of the container's socket. */
  readonly socket: string
  /** Calls at once. */
  readonly concurrency: number
  /** Bytes of the head of an answer. */
  readonly maxHeadSize: number
  /** Its owner says that an answer always belongs to the last request of its connection. */
  readonly keeps: boolean
  /** Told when the function says what nobody asked: nobody knows any more which call its next answer belongs to. */
  readonly broken: () => void
}

/**
 * A connection to a hot container's socket (fdk-contract §6): one call at a time a connection, nothing ever resent.
 * Each call has a connection of its own until an answer has proven whose it is; from then on connections are kept, idle
 * ones for a second, and an answer that proves nothing is none (decision 017).
 */
export function connectHttpStream(options: HttpStreamOptions): Connection {
  return new HttpStreamConnection(options)
}

class HttpStreamConnection implements Connection {
  readonly #dispatcher: Dispatcher
  readonly #turns: Turns
  readonly #keeps: boolean
  #running = 0

  constructor({ id, socket: socketPath, concurrency, maxHeadSize, keeps, broken }: HttpStreamOptions) {
    const options = {
      pipelining: 1,
      keepAliveTimeout: 1_000,
      keepAliveMaxTimeout: 1_000,
      headersTimeout: 0, // the call's own timeout rules
      bodyTimeout: 0,
      maxHeaderSize: maxHeadSize,
      connect: { socketPath, timeout: 5_000 },
    }
    this.#turns = new Turns(id)
    this.#keeps = keeps
    this.#dispatcher =
      concurrency === 1
        ? new Client('http://localhost', options)
        : new Pool('http://localhost', { ...options, connections: concurrency })
    this.#dispatcher.on('disconnect', (_origin, _targets, error) => {
      if (this.#running === 0 && isOutOfTurn(error)) broken()
    })
  }

  exchange(request: FunctionRequest, receiver: Receiver, around: Surroundings): Exchange {
    this.#running++
    const turn = this.#turns.next()
    const kept = this.#keeps || turn.proves
    const end = (verdict: Verdict) => {
      this.#running--
      around.settled(verdict)
    }
    // What the function still has to say, more bytes or that it hangs up, is to be heard before the next call is sent.
    const settled = (verdict: Verdict) =>
      kept && verdict === 'keep' ? nextTurn(() => end(verdict)) : end(verdict)
    const exchange = new HttpStreamExchange(this.#keeps ? undefined : turn, request, receiver, {
      ...around,
      settled,
    })
    this.#dispatcher.dispatch(
      {
        path: '/call',
        method: 'POST',
        headers: [TURN, turn.question, ...request.headers],
        body: request.body ?? null,
        reset: !kept,
      },
      exchange,
    )
    return exchange
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy().catch(() => {})
  }
}

/** One `POST /call`. */
class HttpStreamExchange implements Exchange, Dispatcher.DispatchHandler {
  readonly #outcome: Outcome
  /** What an answer has to prove; nothing where the owner vouches for it. */
  readonly #turn: Turn | undefined
  readonly #callId: string | undefined
  #controller: Dispatcher.DispatchController | undefined
  /** Why the connection is of no more use, though its end has not come. */
  #cut: Error | undefined
  /** The connection has told its end. */
  #told = false

  constructor(turn: Turn | undefined, request: FunctionRequest, receiver: Receiver, around: Surroundings) {
    this.#turn = turn
    this.#callId = headerOf(request.headers, HEADER.callId)
    // The container has done nothing wrong by an answer that is too large: its connection is dropped.
    const release = () => this.#release()
    this.#outcome = new Outcome({ request, receiver, around, release, onTooLarge: 'keep' })
  }

  abort(error: SluiceError): void {
    this.#outcome.fail(error)
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#cut) controller.abort(this.#cut)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200) return
    if (this.#turn && !this.#turn.accepts(headers[TURN]))
      this.abort(invalid('the answer does not prove which call it belongs to'))
    else if (status === 502) this.#outcome.condemn(failed(this.#callId))
    else if (status === 504) this.#outcome.condemn(new SluiceError('timed-out'))
    else if (status !== 200) this.abort(invalid(`the function answered status ${status}`))
    else if (!isPlain(headers['transfer-encoding'])) this.abort(invalid('a transfer coding besides chunked'))
    else this.#outcome.head(headers, controller.rawHeaders as Buffer[], lengthOf(headers))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#outcome.count(chunk.length) && !this.#outcome.data(chunk)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#told = true
    this.#outcome.complete('keep', (controller.rawTrailers as Buffer[] | null) ?? [])
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, cause: Error): void {
    this.#told = true
    const tooLarge = (cause as { code?: unknown }).code === 'UND_ERR_HEADERS_OVERFLOW'
    this.#outcome.lose(tooLarge ? 'response-head-too-large' : 'no-response', cause)
  }

  #release(): void {
    if (this.#told) return
    this.#cut = new Error('the call is over')
    // Without a controller the request still waits for its connection: it is failed when that comes.
    this.#controller?.abort(this.#cut)
  }
}

/** What went wrong is the owner's, in the log; the caller hears where it is. */
const failed = (callId: string | undefined) =>
  new SluiceError('function-failed', undefined, {
    detail: `the function threw, or answered 502; what it printed is in the log of the node with call_id ${callId}`,
  })

const invalid = (detail: string) => new SluiceError('invalid-response', undefined, { detail })

const lengthOf = ({ 'content-length': length }: IncomingHttpHeaders) =>
  length === undefined ? undefined : Number(length)

/** Whether a body arrives as it is: the header that tells of another coding would end here, and the coding stay. */
const isPlain = (coding: unknown): boolean =>
  coding === undefined || String(coding).toLowerCase() === 'chunked'

/** Bytes between two answers; an end of the connection there is fine. */
const isOutOfTurn = (error: Error): boolean =>
  error.name === 'HTTPParserError' || error.message === 'bad response'
