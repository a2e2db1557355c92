import type { SQLInputValue } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { type Clock, limit, sleep } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Fault, FromThread, Outcome, Question, ToThread, Workplace } from './questions.ts'

/** What was asked of a thread. */
export interface Asked {
  /** Rejects when the wait has been long enough, or its signal says so; the thread may still be at it. */
  readonly answer: Promise<Outcome>
  /** Resolves when the thread is done with it and is not asked again, whatever came of it. */
  readonly settled: Promise<void>
}

/** What SQLite, or the system below it, says is wrong. */
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
  readonly #patience: number
  readonly #limit: number
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  /** Questions that are not done with. */
  #working = 0
  /** Why nothing can be asked any more. */
  #over: SluiceError | undefined

  /** @param limitMs how long an answer may take in all, the patience with other processes included */
  constructor(workplace: Workplace, clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#patience = workplace.patience
    this.#limit = limitMs
    const program = new URL('./worker.mjs', import.meta.url)
    this.#worker = new Worker(program, { workerData: workplace, execArgv: [], name: 'sqlite' })
    this.#worker.unref()
    this.#worker.on('message', (reply: FromThread) => this.#take(reply))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', () => this.#end())
  }

  /** @param limitMs how long this answer may take, when that is not what all may */
  ask(question: Question, signal?: AbortSignal, limitMs: number = this.#limit): Asked {
    const over = limit(this.#clock, limitMs, signal)
    const work = this.#persist(question, over.signal)
    if (this.#working++ === 0) this.#worker.ref()
    const done = () => {
      if (--this.#working === 0) this.#worker.unref()
    }
    const settled = work.then(done, done)
    return { answer: unless(over.signal, signal, work).finally(() => over[Symbol.dispose]()), settled }
  }

  /** `promise`, unless it takes too long or `signal` comes first. @throws SluiceError `store-unavailable`, or the signal's reason */
  async within<T>(promise: Promise<T>, limitMs: number, signal?: AbortSignal): Promise<T> {
    using over = limit(this.#clock, limitMs, signal)
    return await unless(over.signal, signal, promise)
  }

  /** Ends the thread when it has answered all, or after the limit. */
  async end(): Promise<void> {
    if (this.#over) return
    await this.ask({ kind: 'close' }).answer.catch(() => {})
    this.#end()
    await this.within(this.#worker.terminate(), this.#limit).catch(() => {})
  }

  /** Asks again while another process holds the lock, for as long as there is patience. Others are answered meanwhile. */
  async #persist(question: Question, signal: AbortSignal): Promise<Outcome> {
    const end = this.#clock.now() + this.#patience
    for (let pause = 1; ; pause = Math.min(2 * pause, 20)) {
      try {
        return await this.#send(question)
      } catch (error) {
        if (!isBusy(error) || this.#clock.now() >= end) throw error
        await sleep(this.#clock, pause, signal)
      }
    }
  }

  #send(question: Question): Promise<Outcome> {
    if (this.#over) return Promise.reject(this.#over)
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    const id = ++this.#asked
    this.#waiting.set(id, { resolve, reject })
    const [sent, gone] = question.kind === 'run' ? copyBlobs(question) : [question, []]
    this.#worker.postMessage({ id, question: sent } satisfies ToThread, gone)
    return promise
  }

  #take(reply: FromThread): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if ('outcome' in reply) waiting?.resolve(reply.outcome)
    else waiting?.reject(toError(reply.fault))
  }

  #end(cause?: unknown): void {
    this.#over ??= new SluiceError('store-unavailable', undefined, { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#over)
    this.#waiting.clear()
  }
}

/** `promise`, until `over` comes first: because of `signal`, or since it has taken too long. */
async function unless<T>(
  over: AbortSignal,
  signal: AbortSignal | undefined,
  promise: Promise<T>,
): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = () => {
    const cause = over.reason as Error
    reject(signal?.aborted ? cause : new SluiceError('store-unavailable', undefined, { cause }))
  }
  if (over.aborted) end()
  else over.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([promise, ended])
  } finally {
    over.removeEventListener('abort', end)
  }
}

/** SQLite's result codes for a file that cannot be used now: busy, locked, read-only, I/O, corrupt, full, cannot open, no database. */
const UNAVAILABLE: ReadonlySet<number> = new Set([5, 6, 8, 10, 11, 13, 14, 26])

const primary = (errcode = 0): number => errcode & 0xff

const isBusy = (error: unknown): boolean => {
  const { cause } = error as Error
  return cause instanceof SqliteError && primary(cause.errcode) === 5
}

/** What is wrong with the file, and not with what was asked, makes the store unavailable. */
function toError(fault: Fault): Error {
  const { errcode } = fault
  const error = new SqliteError(fault)
  return errcode === undefined || UNAVAILABLE.has(primary(errcode))
    ? new SluiceError('store-unavailable', undefined, { cause: error })
    : error
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
