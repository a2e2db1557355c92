import { isUtf8 } from 'node:buffer'
import { SluiceError } from '../../core/errors.ts'
import type { RunResult } from '../../drivers/driver.ts'
import { headersOf } from '../../http1/raw-headers.ts'
import type { Connection, Exchange, FunctionRequest, Receiver, Surroundings } from './exchange.ts'
import { Outcome } from './outcome.ts'
import { Reading, streamOf } from './reading.ts'
import { Stdin, type Stdio } from './stdio.ts'

/** Bytes of an answer that are held back until the container's exit code tells whether it is one. */
const HELD = 256 * 1024

/**
 * The cold protocol (seed-2017 §6): the body is the container's stdin, its stdout the answer, and its exit code says
 * whether that counts. The container serves exactly one call.
 */
export function connectDefault(stdio: Stdio): Connection {
  const stdin = new Stdin(stdio.stdin)
  stdio.stdout.on('error', () => {}) // an exchange hears of it
  let exchange: DefaultExchange | undefined
  return {
    exchange(request, receiver, around) {
      if (exchange) throw new Error('a container of format default was given a second call')
      exchange = new DefaultExchange(stdin, stdio, request, receiver, around)
      return exchange
    },
    async close() {
      exchange?.lose()
      stdin.end()
      stdio.stdout.resume()
    },
  }
}

class DefaultExchange implements Exchange {
  readonly #outcome: Outcome
  readonly #stdout: Reading
  readonly #body: Reading | undefined
  #held: Buffer[] = []
  #size = 0
  #streams = false
  /** stdout said all it had to say. */
  #whole = false
  /** The container ended, and well. */
  #exited = false

  constructor(
    stdin: Stdin,
    { stdout, ended }: Stdio,
    request: FunctionRequest,
    receiver: Receiver,
    around: Surroundings,
  ) {
    this.#outcome = new Outcome({ request, receiver, around, release: () => this.#release() })
    this.#stdout = new Reading(stdout, {
      chunk: (chunk) => this.#take(chunk),
      end: () => {
        this.#whole = true
        this.#deliver()
      },
      cut: () => this.#outcome.lose(),
    })
    if (request.body) {
      this.#body = new Reading(streamOf(request.body), {
        chunk: (chunk) => stdin.write(chunk, () => this.#body?.resume()),
        end: () => stdin.end(),
        cut: () => this.abort(new SluiceError('client-gone')),
      })
    } else stdin.end()
    void ended.then((result) => this.#hearEnd(result))
  }

  abort(error: SluiceError): void {
    this.#outcome.fail(error)
  }

  resume(): void {
    this.#stdout.resume()
  }

  lose(): void {
    this.#outcome.lose()
  }

  #take(chunk: Buffer): boolean {
    this.#size += chunk.length
    if (!this.#outcome.count(chunk.length)) return true
    if (this.#streams) return this.#outcome.data(chunk)
    this.#held.push(chunk)
    return this.#size <= HELD || this.#beginStream()
  }

  /** The answer is too long to be held back: from now on a failure breaks it off. */
  #beginStream(): boolean {
    const piece = Buffer.concat(this.#held)
    this.#held = []
    this.#streams = true
    this.#outcome.head(...headersOf(['Content-Type', typeOfPiece(piece)]), undefined)
    return this.#outcome.data(piece)
  }

  #hearEnd(result: RunResult): void {
    const failure = failureOf(result)
    if (failure) this.abort(failure)
    else if (result.status !== 'success') this.#outcome.lose()
    else {
      this.#exited = true
      this.#deliver()
    }
  }

  #deliver(): void {
    if (!this.#whole || !this.#exited) return
    if (!this.#streams) {
      const body = Buffer.concat(this.#held)
      const pairs = ['Content-Type', typeOf(body), 'Content-Length', String(body.length)]
      this.#outcome.head(...headersOf(pairs), body.length)
      if (body.length > 0) this.#outcome.data(body)
    }
    this.#outcome.complete('discard')
  }

  #release(): void {
    this.#held = []
    this.#stdout.drop()
    this.#body?.drop()
  }
}

/** What the end of a container means for its call; `undefined` when it is no failure, or none of the function's. */
function failureOf({ status, exitCode, oom }: RunResult): SluiceError | undefined {
  if (oom) {
    const detail = 'container out of memory, you may want to raise fn.memory for this function'
    return new SluiceError('function-failed', undefined, { detail })
  }
  if (status === 'timeout') return new SluiceError('timed-out')
  if (status === 'error' && exitCode !== undefined)
    return new SluiceError('function-failed', undefined, { detail: `exit code ${exitCode}` })
  return undefined
}

const TEXT = 'text/plain; charset=utf-8'
const BYTES = 'application/octet-stream'

function typeOf(body: Buffer): string {
  if (!isUtf8(body) || hasControls(body)) return BYTES
  return isJson(body.toString()) ? 'application/json' : TEXT
}

/** Of a beginning, which may end inside of a character. */
function typeOfPiece(piece: Buffer): string {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(piece, { stream: true })
    return hasControls(piece) ? BYTES : TEXT
  } catch {
    return BYTES
  }
}

const TAB = 0x09
const RETURN = 0x0d

/** Whether there are control characters other than white space. */
const hasControls = (bytes: Buffer): boolean =>
  bytes.some((byte) => byte === 0x7f || (byte < 0x20 && (byte < TAB || byte > RETURN)))

/** Whether a text is a JSON object or array: a bare number or word is text to people. */
function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
