import type { Readable } from 'node:stream'
import { SluiceError } from '../../core/errors.ts'
import type { RunResult } from '../../drivers/driver.ts'
import { headersOf } from '../../http1/raw-headers.ts'
import { type ResponseHead, ResponseParser } from '../../http1/response-parser.ts'
import type { Connection, Exchange, FunctionRequest, Receiver, Surroundings, Verdict } from './exchange.ts'
import { answerHeaders, closes } from './http-answer.ts'
import { promisedLength, requestHead } from './http-request.ts'
import { Outcome } from './outcome.ts'
import { Reading, streamOf } from './reading.ts'
import { Stdin, type Stdio } from './stdio.ts'

/** Bytes of a body without a length: it is held until its length is known, which the function hears first. */
const MAX_HELD = 64 * 1024 * 1024

/** How long an answer that ends with its stream waits to hear how the container ended. */
const END_LIMIT = 1_000

export interface HttpStdio extends Stdio {
  /** Told at most once, between calls: the container says what nobody asked, or no more; no call can be served. */
  readonly broken?: (why: SluiceError) => void
}

/**
 * The hot protocol of 2017 (seed-2017 §6): a call is written to the container's stdin as an HTTP request, and one
 * response is read from its stdout. One call at a time. Nothing but order tells which call an answer belongs to,
 * so a container that says a byte too many or too few never gets another call (decision 007).
 */
export function connectHttp(stdio: HttpStdio): Connection {
  return new HttpConnection(stdio)
}

class HttpConnection implements Connection {
  readonly stdin: Stdin
  readonly ended: Promise<RunResult>
  readonly #broken: (why: SluiceError) => void
  readonly #stdout: Reading
  #current: HttpExchange | undefined
  /** Why no other call may come here. */
  #unfit: SluiceError | undefined

  constructor({ stdin, stdout, ended, broken = () => {} }: HttpStdio) {
    this.stdin = new Stdin(stdin)
    this.ended = ended
    this.#broken = broken
    this.#stdout = new Reading(stdout, {
      chunk: (chunk) => this.#chunk(chunk),
      end: () => this.#over(true),
      cut: () => this.#over(false),
    })
  }

  /** The container said something that nobody has heard yet. */
  get talks(): boolean {
    return this.#stdout.waiting > 0
  }

  exchange(request: FunctionRequest, receiver: Receiver, around: Surroundings): Exchange {
    if (this.#current) throw new Error('a container of format http was given two calls at once')
    if (this.talks) this.#unfit ??= outOfTurn('something')
    this.#current = new HttpExchange(this, request, receiver, around)
    this.#current.start(this.#unfit)
    return this.#current
  }

  /** The current call is over. */
  release(verdict: Verdict): void {
    this.#current = undefined
    if (verdict === 'discard') this.#unfit ??= new SluiceError('no-response')
    this.resume()
  }

  resume(): void {
    this.#stdout.resume()
  }

  async close(): Promise<void> {
    this.#unfit ??= new SluiceError('no-response')
    this.#current?.lose()
    this.stdin.end()
  }

  #chunk(chunk: Buffer): boolean {
    if (this.#current) return this.#current.take(chunk)
    this.#spoil(outOfTurn(quote(chunk)))
    return true
  }

  /** @param whole the stream said all it had to say, and did not break off */
  #over(whole: boolean): void {
    if (this.#current) this.#current.over(whole)
    else this.#spoil(new SluiceError('no-response'))
  }

  #spoil(why: SluiceError): void {
    if (this.#unfit) return
    this.#unfit = why
    this.#broken(why)
  }
}

class HttpExchange implements Exchange {
  readonly #connection: HttpConnection
  readonly #request: FunctionRequest
  readonly #around: Surroundings
  readonly #outcome: Outcome
  readonly #parser: ResponseParser
  #body: Reading | undefined
  /** The request's head is on its way: from now on the container may be busy with this call. */
  #begun = false
  #bodyDone = false
  /** The function said that it takes no other request. */
  #closes = false
  #heard = false
  #paused = false
  #grace: Disposable | undefined

  constructor(
    connection: HttpConnection,
    request: FunctionRequest,
    receiver: Receiver,
    around: Surroundings,
  ) {
    this.#connection = connection
    this.#request = request
    this.#around = around
    this.#outcome = new Outcome({ request, receiver, around, release: (verdict) => this.#release(verdict) })
    this.#outcome.onFailure = 'keep'
    this.#parser = new ResponseParser({
      head: (head) => this.#hearHead(head),
      data: (piece) => this.#hearData(piece),
    })
  }

  /** @param unfit why the container can serve no call */
  start(unfit: SluiceError | undefined): void {
    const { body, headers } = this.#request
    if (unfit) {
      this.#outcome.onFailure = 'discard'
      // Not before the caller holds this exchange.
      queueMicrotask(() => (unfit.code === 'no-response' ? this.lose() : this.abort(unfit)))
    } else if (!body) this.#begin(0)
    else {
      const length = promisedLength(headers)
      if (length === undefined) this.#hold(streamOf(body))
      else this.#stream(streamOf(body), length)
    }
  }

  abort(error: SluiceError): void {
    this.#outcome.fail(error)
  }

  lose(): void {
    this.#outcome.lose()
  }

  resume(): void {
    if (!this.#outcome.open) return
    this.#paused = false
    this.#connection.resume()
  }

  /** Takes what the container says. @returns false to hear nothing more for now */
  take(chunk: Buffer): boolean {
    if (!this.#outcome.open) return true
    if (!this.#begun) {
      this.#outcome.onFailure = 'discard'
      this.abort(outOfTurn(quote(chunk)))
      return true
    }
    const first = !this.#heard
    this.#heard = true
    const taken = this.#parser.push(chunk)
    const { fault, complete } = this.#parser
    if (fault) this.abort(first ? withSample(fault, chunk) : fault)
    else if (complete) this.#complete(taken === chunk.length)
    return !this.#outcome.open || !this.#paused
  }

  over(whole: boolean): void {
    if (!whole || !this.#parser.finish()) this.lose()
    else if (this.#outcome.open) this.#awaitEnd()
  }

  #begin(length: number): void {
    this.#begun = true
    this.#outcome.onFailure = 'discard'
    this.#bodyDone = length === 0
    this.#connection.stdin.write(requestHead(this.#request, length))
  }

  #stream(body: Readable, length: number): void {
    const { stdin } = this.#connection
    let sent = 0
    this.#begin(length)
    const check = (wrong: boolean) => {
      if (wrong) this.abort(new SluiceError('invalid', undefined, { detail: mismatch(length) }))
    }
    this.#body = new Reading(body, {
      chunk: (chunk) => {
        sent += chunk.length
        this.#bodyDone = sent === length
        check(sent > length)
        return !this.#outcome.open || stdin.write(chunk, () => this.#body?.resume())
      },
      end: () => check(sent !== length),
      cut: () => this.abort(new SluiceError('client-gone')),
    })
  }

  #hold(body: Readable): void {
    const { stdin } = this.#connection
    const held: Buffer[] = []
    let size = 0
    this.#body = new Reading(body, {
      chunk: (chunk) => {
        size += chunk.length
        if (size > MAX_HELD) this.abort(new SluiceError('too-large', undefined, { detail: TOO_LARGE }))
        else held.push(chunk)
        return true
      },
      end: () => {
        this.#begin(size)
        for (const chunk of held) stdin.write(chunk)
        this.#bodyDone = true
      },
      cut: () => this.abort(new SluiceError('client-gone')),
    })
  }

  #hearHead(head: ResponseHead): void {
    this.#closes = closes(head)
    this.#outcome.head(...headersOf(answerHeaders(head)), head.length)
  }

  #hearData(piece: Buffer): void {
    if (this.#outcome.count(piece.length)) this.#paused = !this.#outcome.data(piece)
  }

  /** @param exactly nothing came after the answer */
  #complete(exactly: boolean): void {
    const { stdin, talks } = this.#connection
    const clean = exactly && !talks && this.#bodyDone && stdin.flushed && !this.#closes
    this.#outcome.complete(clean ? 'keep' : 'discard')
  }

  /** The end of the stream alone does not tell a whole answer from a crash: how the container ended does. */
  #awaitEnd(): void {
    const done = () => this.#outcome.complete('discard')
    this.#grace = this.#around.clock.after(END_LIMIT, done)
    void this.#connection.ended.then(({ status }) => (status === 'success' ? done() : this.lose()))
  }

  #release(verdict: Verdict): void {
    this.#grace?.[Symbol.dispose]()
    this.#body?.drop()
    this.#connection.release(verdict)
  }
}

const TOO_LARGE = `a body without Content-Length may have ${MAX_HELD} bytes at the most`

const mismatch = (length: number) => `the body has not the ${length} bytes that its Content-Length says`

const outOfTurn = (what: string) =>
  new SluiceError('invalid-response', undefined, { detail: `the function wrote ${what} outside of a call` })

const withSample = ({ code, message, detail }: SluiceError, chunk: Buffer) =>
  new SluiceError(code, message, { detail: `${detail}; it begins with ${quote(chunk)}` })

/** The beginning of what a function wrote, for people. */
const quote = (chunk: Buffer) => JSON.stringify(chunk.toString('utf8', 0, 80))
