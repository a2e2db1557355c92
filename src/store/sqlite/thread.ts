import { extname } from 'node:path'
import type { SQLInputValue } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { type Clock, limit } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Fault, FromThread, Outcome, Question, ToThread, Workplace } from './questions.ts'

/** What was asked of a thread. */
export interface Asked {
  /** Rejects when the wait has been long enough, or its signal says so; the thread may still be at it. */
  readonly answer: Promise<Outcome>
  /** Resolves when the thread is done with it, whatever came of it. */
  readonly settled: Promise<void>
}

/** What SQLite says is wrong with a statement. */
export class SqliteError extends Error {
  override readonly name = 'SqliteError'
  /** SQLite's extended result code. */
  readonly errcode: number | undefined

  constructor({ message, errcode }: Fault) {
    super(message)
    this.errcode = errcode
  }
}

interface Waiting {
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: Error) => void
}

/** The thread that a database lives in, seen from outside. It keeps the process alive only while it is asked something. */
export class Thread {
  readonly #worker: Worker
  readonly #clock: Clock
  readonly #limit: number
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  /** Why nothing can be asked any more. */
  #over: SluiceError | undefined

  /** @param limitMs how long an answer may take in all */
  constructor(workplace: Workplace, clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limit = limitMs
    const file = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url)
    this.#worker = new Worker(file, { workerData: workplace, execArgv: [], name: 'sqlite' })
    this.#worker.unref()
    this.#worker.on('message', (reply: FromThread) => this.#take(reply))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', () => this.#end())
  }

  /** @param limitMs how long this answer may take, when that is not what all may */
  ask(question: Question, signal?: AbortSignal, limitMs: number = this.#limit): Asked {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    const settled = promise.then(
      () => {},
      () => {},
    )
    if (this.#over) reject(this.#over)
    else this.#send(question, { resolve, reject })
    const id = this.#asked
    const forget = () => this.#worker.postMessage({ id, forget: true } satisfies ToThread)
    return { answer: this.within(promise, limitMs, signal, forget), settled }
  }

  /** `promise`, unless it takes too long or `signal` comes first. @throws SluiceError `store-unavailable`, or the signal's reason */
  async within<T>(
    promise: Promise<T>,
    limitMs: number,
    signal?: AbortSignal,
    late: () => void = () => {},
  ): Promise<T> {
    using over = limit(this.#clock, limitMs, signal)
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const abort = () => {
      late()
      const cause = over.signal.reason as Error
      reject(signal?.aborted ? cause : new SluiceError('store-unavailable', undefined, { cause }))
    }
    if (over.signal.aborted) abort()
    else over.signal.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([promise, aborted])
    } finally {
      over.signal.removeEventListener('abort', abort)
    }
  }

  /** Ends the thread when it has answered all, or after the limit. */
  async end(): Promise<void> {
    if (this.#over) return
    await this.ask({ kind: 'close' }).answer.catch(() => {})
    this.#end()
    await this.within(this.#worker.terminate(), this.#limit).catch(() => {})
  }

  #send(question: Question, waiting: Waiting): void {
    const id = ++this.#asked
    this.#waiting.set(id, waiting)
    this.#worker.ref()
    const [sent, gone] = question.kind === 'run' ? copyBlobs(question) : [question, []]
    this.#worker.postMessage({ id, question: sent } satisfies ToThread, gone)
  }

  #take(reply: FromThread): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    if ('outcome' in reply) waiting?.resolve(reply.outcome)
    else waiting?.reject(toError(reply.fault))
  }

  #end(cause?: unknown): void {
    this.#over ??= new SluiceError('store-unavailable', undefined, { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#over)
    this.#waiting.clear()
  }
}

function toError(fault: Fault): Error {
  const error = new SqliteError(fault)
  return fault.unavailable ? new SluiceError('store-unavailable', undefined, { cause: error }) : error
}

/** Bytes are often a view of something far larger, all of which would be sent: they are copied, and the copy given away. */
function copyBlobs(question: Extract<Question, { kind: 'run' }>): [Question, ArrayBuffer[]] {
  const gone: ArrayBuffer[] = []
  const parameters = question.parameters.map((value): SQLInputValue => {
    if (!(value instanceof Uint8Array)) return value
    const copy = new Uint8Array(value)
    gone.push(copy.buffer)
    return copy
  })
  return [{ ...question, parameters }, gone]
}
