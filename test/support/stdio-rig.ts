import type { IncomingHttpHeaders } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { type VirtualClock, virtualClock } from '../../src/core/clock.ts'
import { SluiceError } from '../../src/core/errors.ts'
import type { RunResult } from '../../src/drivers/driver.ts'
import type { FunctionRequest, Receiver, Surroundings, Verdict } from '../../src/runner/protocols/exchange.ts'

/** A container's streams without a container: what is written to `stdin` is heard, what is put into `stdout` said. */
export class FakeContainer {
  readonly stdin: PassThrough
  readonly stdout: PassThrough = new PassThrough()
  readonly stderr: PassThrough = new PassThrough()
  readonly ended: Promise<RunResult>
  /** All that came in, once {@link listen} was called. */
  heard = ''
  readonly #settle: (result: RunResult) => void

  constructor({ stdinHolds = 64 * 1024 }: { stdinHolds?: number } = {}) {
    this.stdin = new PassThrough({ highWaterMark: stdinHolds })
    const { promise, resolve } = Promise.withResolvers<RunResult>()
    this.ended = promise
    this.#settle = resolve
  }

  listen(): this {
    this.stdin.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString('latin1')
    })
    return this
  }

  say(text: string | Buffer): void {
    this.stdout.write(text)
  }

  /** Ends as this says, with its stream. */
  exit(result: Partial<RunResult> = {}): void {
    this.stdout.end()
    this.settle(result)
  }

  /** Ends, while its stream has not said all. */
  settle(result: Partial<RunResult> = {}): void {
    this.#settle({ status: 'success', exitCode: 0, oom: false, startedAt: 0, ...result })
  }
}

/** Writes down what a call's receiver hears. */
export class Recorder implements Receiver, Surroundings {
  readonly clock: VirtualClock = virtualClock()
  /** Timers that neither fired nor were disposed of. */
  timers = 0
  readonly events: string[] = []
  readonly settlement: Promise<Verdict>
  headers: IncomingHttpHeaders | undefined
  /** Name and value of each header. */
  raw: string[] = []
  body = ''
  error: SluiceError | undefined
  verdict: Verdict | undefined
  /** What {@link data} returns. */
  takesMore = true
  explains: (error: SluiceError) => Promise<SluiceError> = async ({ code }) =>
    new SluiceError(code, undefined, { detail: 'explained' })
  readonly #settle: (verdict: Verdict) => void

  constructor() {
    const { promise, resolve } = Promise.withResolvers<Verdict>()
    this.settlement = promise
    this.#settle = resolve
    this.#countTimers()
  }

  readonly explain = (error: SluiceError): Promise<SluiceError> => this.explains(error)

  readonly settled = (verdict: Verdict): void => {
    this.events.push(verdict)
    this.verdict = verdict
    this.#settle(verdict)
  }

  head(headers: IncomingHttpHeaders, raw: readonly Buffer[]): void {
    this.events.push('head')
    this.headers = { ...headers }
    this.raw = raw.map((bytes) => bytes.toString('latin1'))
  }

  data(chunk: Buffer): boolean {
    if (this.events.at(-1) !== 'data') this.events.push('data')
    this.body += chunk.toString('latin1')
    return this.takesMore
  }

  end(): void {
    this.events.push('end')
  }

  fail(error: SluiceError): void {
    this.events.push('fail')
    this.error = error
  }

  #countTimers(): void {
    const { after } = this.clock
    this.clock.after = (ms, fire) => {
      this.timers++
      let live = true
      const gone = () => {
        if (live) this.timers--
        live = false
      }
      const timer = after(ms, () => {
        gone()
        fire()
      })
      return {
        [Symbol.dispose]: () => {
          gone()
          timer[Symbol.dispose]()
        },
      }
    }
  }

  /** Code and detail of the failure. */
  get failure(): string | undefined {
    return this.error && `${this.error.code}: ${this.error.detail}`
  }
}

export const makeRequest = (over: Partial<FunctionRequest> = {}): FunctionRequest => ({
  headers: ['Fn-Call-Id', 'CALL', 'Fn-Deadline', '2026-01-01T00:00:30Z'],
  body: undefined,
  timeoutMs: 30_000,
  maxResponseSize: 0,
  environment: () => ({}),
  ...over,
})

/** A body of these pieces. */
export const bodyOf = (...pieces: readonly (string | Buffer)[]): Readable =>
  Readable.from(
    pieces.map((piece) => Buffer.from(piece as string)),
    { objectMode: false },
  )
