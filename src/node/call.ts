import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { SluiceError } from '../core/errors.ts'
import { NO_WAIT, type Wait } from '../core/headers.ts'
import { parseTarget } from '../core/routes.ts'
import type { Definition } from '../runner/definition.ts'
import { type CallOrigin, environment2017 } from '../runner/protocols/environment.ts'
import type { Body, Exchange } from '../runner/protocols/exchange.ts'
import type { CallReceiver as RunReceiver, Slot } from '../runner/runner.ts'
import { BEGINNING } from './body.ts'
import { deadlinePassed, explain, notWarm, pathNotFound, tooLarge, waitOf } from './call-errors.ts'
import { type BegunCall, type CallRecord, type CallWatch, type HttpFacts, ranIn } from './call-record.ts'
import type { CallContext, CallReceiver, CallRequest } from './call-request.ts'
import type { Resolved } from './definitions.ts'
import { httpStatusOf } from './function-headers.ts'

/**
 * One call: from its path to a function, a slot, an answer and a {@link CallRecord}. It knows nothing of HTTP, and every
 * way through it ends in exactly one record.
 */
export class Call implements RunReceiver, BegunCall {
  readonly id: string
  readonly arrived: number
  readonly http: HttpFacts | undefined
  readonly #context: CallContext
  readonly #request: CallRequest
  readonly #receiver: CallReceiver
  readonly #watches: CallWatch[] = []
  #resolved: Resolved | undefined
  #slot: Slot | undefined
  #exchange: Exchange | undefined
  #waiting: AbortController | undefined
  /** Waits for the body, or watches it. */
  #body: Disposable | undefined
  /** Since when it waits for a slot (ms of the clock): what its body took is nobody's wait. */
  #since: number
  #dispatched = 0
  #wait: Wait = NO_WAIT
  #status = 200
  #bytesIn = 0
  #bytesOut = 0
  #over = false
  readonly #gone = (): void => this.leave()

  /** The call begins: observers are told. */
  constructor(context: CallContext, request: CallRequest, receiver: CallReceiver) {
    this.#context = context
    this.#request = request
    this.#receiver = receiver
    this.id = request.id
    this.arrived = request.arrived ?? context.clock.now()
    this.#since = this.arrived
    this.http = request.http
    for (const observer of context.observers) {
      const watch = observer.begin(this)
      if (watch) this.#watches.push(watch)
    }
  }

  get resolved(): Resolved | undefined {
    return this.#resolved
  }

  /** What it has waited, once that is known. */
  get wait(): Wait {
    return this.#wait
  }

  /** Milliseconds since its dispatch; `undefined` before. */
  get ran(): number | undefined {
    return this.#slot && this.#context.clock.now() - this.#dispatched
  }

  /** Idle instances of its function, after it. */
  get idle(): number {
    const pool = this.#slot?.pool
    if (pool) return pool.idle + (pool.waiting === 0 ? 1 : 0)
    return this.#resolved ? this.#context.runner.idle(this.#resolved.definition.fn.id) : 0
  }

  /** Finds the function and a slot, and runs. Once. */
  start(): void {
    const { signal, path } = this.#request
    if (signal?.aborted) {
      this.leave()
      return
    }
    signal?.addEventListener('abort', this.#gone, { once: true })
    const { definitions } = this.#context
    const known = definitions.known(path)
    const target = known ? undefined : parseTarget(path)
    const found = known ?? (target && definitions.match(path, target))
    if (found) this.#find(found)
    else if (!target) this.fail(pathNotFound(this.#request))
    else
      definitions.resolve(path, target).then(
        (resolved) => this.#find(resolved),
        (error: unknown) => this.fail(SluiceError.from(error)),
      )
  }

  /** Ends it, unless it is over: nobody wants the answer any more. */
  leave(): void {
    if (this.#over) return
    const error = new SluiceError('client-gone')
    if (this.#waiting) this.#waiting.abort()
    else if (this.#exchange) this.#exchange.abort(error)
    else this.fail(error)
  }

  /** The receiver can take more. */
  resume(): void {
    this.#exchange?.resume()
  }

  started(slot: Slot): void {
    this.#slot = slot
    this.#wait = slot.wait
    this.#dispatched = this.#context.clock.now()
    for (const watch of this.#watches) watch.started?.(this, ranIn(slot))
  }

  head(headers: IncomingHttpHeaders, raw: readonly Buffer[]): void {
    if (this.#resolved?.source !== undefined) this.#status = httpStatusOf(headers)
    this.#receiver.head(this.#status, headers, raw)
  }

  data(chunk: Buffer): boolean {
    this.#bytesOut += chunk.length
    return this.#receiver.data(chunk)
  }

  end(rawTrailers: readonly Buffer[]): void {
    if (this.#over) return
    this.#receiver.end(rawTrailers)
    this.#end(this.#status, undefined)
  }

  fail(error: SluiceError): void {
    if (this.#over) return
    const told = explain(error, this.#context.runner, {
      definition: this.#resolved?.definition,
      ran: this.ran,
      left: (this.#request.deadline ?? Infinity) - this.#dispatched,
    })
    this.#end(this.#receiver.fail(told), told)
  }

  #end(status: number | undefined, error: SluiceError | undefined): void {
    this.#over = true
    this.#body?.[Symbol.dispose]()
    this.#request.signal?.removeEventListener('abort', this.#gone)
    const record: CallRecord = {
      id: this.id,
      arrived: this.arrived,
      attempt: this.#request.attempt ?? 1,
      resolved: this.#resolved,
      slot: this.#slot && ranIn(this.#slot),
      wait: this.#wait,
      run: this.ran,
      status,
      error,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    }
    for (const watch of this.#watches) watch.end?.(record)
  }

  #find(resolved: Resolved): void {
    if (this.#over) return
    this.#resolved = resolved
    const { definition } = resolved
    const { clock, maxRequestSize } = this.#context
    // Before anything else is looked at: whatever the node is busy with, the answer is the same.
    if (this.#isPast()) {
      this.fail(deadlinePassed('when the call came'))
      return
    }
    if (!this.#request.body || !this.#request.awaitBody) {
      this.#seek(resolved)
      return
    }
    // Beyond its limit nobody waits for a body.
    const enough = definition.streams ? 1 : Math.min(BEGINNING, maxRequestSize || BEGINNING)
    this.#body = this.#request.awaitBody?.(enough, {
      here: () => {
        this.#since = clock.now()
        if (!this.#over) this.#seek(resolved)
      },
      coming: () => {
        const refusal = this.#refusal(definition)
        if (refusal) this.fail(refusal)
        else this.#receiver.wanted?.()
      },
      late: (error) => this.fail(error),
    })
  }

  /** Why it is refused before its body has come, if it is. */
  #refusal(definition: Definition): SluiceError | undefined {
    const { runner } = this.#context
    if (this.#request.warmOnly && !runner.hasIdle(definition)) return notWarm(runner.predict(definition))
    return runner.refusal({ definition, arrived: this.arrived, deadline: this.#request.deadline })
  }

  #seek(resolved: Resolved): void {
    const { definition } = resolved
    const { runner } = this.#context
    const slot = runner.tryAcquire(definition, this.#since)
    if (slot) this.#run(slot)
    else if (this.#request.warmOnly && !runner.hasIdle(definition))
      this.fail(notWarm(runner.predict(definition)))
    else this.#acquire(resolved)
  }

  #acquire(resolved: Resolved): void {
    const { definition } = resolved
    this.#waiting = new AbortController()
    const request = {
      definition,
      arrived: this.#since,
      deadline: this.#request.deadline,
      environment: () =>
        environment2017({
          definition,
          headers: [...this.#headers(resolved), 'Fn-Call-Id', this.id],
          origin: this.#origin(resolved),
        }),
    }
    this.#context.runner.acquire(request, this.#waiting.signal).then(
      (slot) => {
        this.#waiting = undefined
        this.#run(slot)
      },
      (error: unknown) => {
        this.#wait = waitOf(error, this.#since, this.#context.clock.now())
        this.fail(SluiceError.from(error))
      },
    )
  }

  #run(slot: Slot): void {
    const { runner } = this.#context
    if (this.#over || this.#isPast()) {
      runner.release(slot)
      if (!this.#over) this.fail(deadlinePassed('before a slot was free'))
      return
    }
    const resolved = this.#resolved as Resolved
    this.#exchange = runner.run(
      slot,
      {
        id: this.id,
        headers: this.#headers(resolved),
        body: this.#input(),
        deadline: this.#request.deadline,
        origin: () => this.#origin(resolved),
      },
      this,
    )
    if (!this.#over) this.#body = this.#request.watchBody?.((error) => this.#exchange?.abort(error))
  }

  #isPast(): boolean {
    const { deadline } = this.#request
    return deadline !== undefined && deadline <= this.#context.clock.now()
  }

  #headers(resolved: Resolved): string[] {
    const headers = this.#request.headers(resolved)
    for (const watch of this.#watches) watch.pass?.(headers)
    return headers
  }

  #origin(resolved: Resolved): CallOrigin {
    const { path: route } = this.#request
    const { params } = resolved
    return (
      this.#request.origin?.(resolved) ?? { method: 'POST', url: `http://localhost${route}`, route, params }
    )
  }

  /** What comes is counted, and cut where the limit is; a length that is known is both ahead. */
  #input(): Body | undefined {
    const { body, length } = this.#request
    if (body === undefined) return undefined
    const known = body instanceof Readable ? length : body.length
    if (known !== undefined) {
      this.#bytesIn = known
      return wholeOf(body, known) ?? body
    }
    const { maxRequestSize: max } = this.#context
    const count = (chunk: Buffer): void => {
      this.#bytesIn += chunk.length
      if (max > 0 && this.#bytesIn > max) this.#exchange?.abort(tooLarge(this.#bytesIn, max))
    }
    return (body as Readable).on('data', count).pause()
  }
}

/** A body of which every byte is here, in one piece; nothing is taken of another. */
function wholeOf(body: Body, length: number): Uint8Array | undefined {
  if (!(body instanceof Readable)) return body
  return body.readableLength === length ? ((body.read(length) as Buffer | null) ?? undefined) : undefined
}
