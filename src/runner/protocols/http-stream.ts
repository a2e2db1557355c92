import type { IncomingHttpHeaders } from 'node:http'
import { Client, type Dispatcher, Pool } from 'undici'
import { nextTurn } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Connection, Exchange, FunctionRequest, Receiver, Surroundings, Verdict } from './exchange.ts'

export interface HttpStreamOptions {
  /** Path of the container's socket. */
  readonly socket: string
  /** Calls at once. */
  readonly concurrency: number
  /** Bytes of the head of an answer. */
  readonly maxHeadSize: number
  /** Told when the function says what nobody asked: nobody knows any more which call its next answer belongs to. */
  readonly broken: () => void
}

/**
 * A connection to a hot container's socket (container-contract §6): one call at a time a connection, an idle connection
 * closed within a second, nothing ever resent.
 */
export function connectHttpStream({
  socket: socketPath,
  concurrency,
  maxHeadSize,
  broken,
}: HttpStreamOptions): Connection {
  const options = {
    pipelining: 1,
    keepAliveTimeout: 1_000,
    keepAliveMaxTimeout: 1_000,
    headersTimeout: 0, // the call's own timeout rules
    bodyTimeout: 0,
    maxHeaderSize: maxHeadSize,
    connect: { socketPath, timeout: 5_000 },
  }
  const dispatcher: Dispatcher =
    concurrency === 1
      ? new Client('http://localhost', options)
      : new Pool('http://localhost', { ...options, connections: concurrency })
  let running = 0
  dispatcher.on('disconnect', (_origin, _targets, error) => {
    if (running === 0 && isOutOfTurn(error)) broken()
  })
  return {
    exchange(request, receiver, around) {
      running++
      const settled = (verdict: Verdict) => {
        running--
        around.settled(verdict)
      }
      return new HttpStreamExchange(dispatcher, request, receiver, { ...around, settled })
    },
    close: () => dispatcher.destroy().catch(() => {}),
  }
}

/** One `POST /call`. */
class HttpStreamExchange implements Exchange, Dispatcher.DispatchHandler {
  readonly #request: FunctionRequest
  readonly #receiver: Receiver
  readonly #around: Surroundings
  readonly #timer: Disposable
  #controller: Dispatcher.DispatchController | undefined
  /** What the call ends with, once that is known. */
  #error: SluiceError | undefined
  #verdict: Verdict = 'keep'
  #received = 0
  #done = false

  constructor(dispatcher: Dispatcher, request: FunctionRequest, receiver: Receiver, around: Surroundings) {
    this.#request = request
    this.#receiver = receiver
    this.#around = around
    this.#timer = around.clock.after(request.timeoutMs, () => this.abort(new SluiceError('timed-out')))
    dispatcher.dispatch(
      {
        path: '/call',
        method: 'POST',
        headers: request.headers as string[],
        body: request.body ?? null,
      },
      this,
    )
  }

  abort(error: SluiceError): void {
    if (this.#done || this.#error) return
    this.#error = error
    this.#verdict = 'discard'
    // Without a controller the request still waits for its connection: it is failed when that comes, and answered now.
    if (this.#controller) this.#controller.abort(error)
    else this.#finish()
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#error) controller.abort(this.#error)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200) return
    const max = this.#request.maxResponseSize
    if (status === 502) this.#error = new SluiceError('function-failed')
    else if (status === 504) this.#error = new SluiceError('timed-out')
    else if (status !== 200) {
      this.abort(
        new SluiceError('invalid-response', undefined, { detail: `the function answered status ${status}` }),
      )
    } else if (!isPlain(headers['transfer-encoding'])) {
      this.abort(
        new SluiceError('invalid-response', undefined, { detail: 'a transfer coding besides chunked' }),
      )
    } else if (max > 0 && Number(headers['content-length'] ?? 0) > max) this.#refuseSize(controller)
    else this.#receiver.head(headers, controller.rawHeaders as Buffer[])
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#error) return // the body of a failure is not for the caller
    const max = this.#request.maxResponseSize
    this.#received += chunk.length
    if (max > 0 && this.#received > max) this.#refuseSize(controller)
    else if (!this.#receiver.data(chunk)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (!this.#error) this.#receiver.end((controller.rawTrailers as Buffer[] | null) ?? [])
    this.#finish()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, cause: Error): void {
    if (this.#error) {
      this.#finish()
      return
    }
    this.#verdict = 'discard'
    const head = (cause as { code?: unknown }).code === 'UND_ERR_HEADERS_OVERFLOW'
    const error = new SluiceError(head ? 'response-head-too-large' : 'no-response', undefined, { cause })
    // The socket closes before anybody can say why: the container's end is awaited, then the cause is named.
    void this.#around.explain(error).then((explained) => {
      this.#error ??= explained
      this.#finish()
    })
  }

  /** The container has done nothing wrong but its connection is dropped. */
  #refuseSize(controller: Dispatcher.DispatchController): void {
    this.#error = new SluiceError('response-too-large', undefined, {
      detail: `the answer exceeds ${this.#request.maxResponseSize} bytes`,
    })
    controller.abort(this.#error)
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    this.#timer[Symbol.dispose]()
    if (this.#error) this.#receiver.fail(this.#error)
    if (this.#verdict === 'discard') this.#around.settled('discard')
    // What the function still has to say, more bytes or that it hangs up, is to be heard before the next call is sent.
    else nextTurn(() => this.#around.settled('keep'))
  }
}

/** Whether a body arrives as it is: the header that tells of another coding would end here, and the coding stay. */
const isPlain = (coding: unknown): boolean =>
  coding === undefined || String(coding).toLowerCase() === 'chunked'

/** Bytes between two answers; an end of the connection there is fine. */
const isOutOfTurn = (error: Error): boolean =>
  error.name === 'HTTPParserError' || error.message === 'bad response'
