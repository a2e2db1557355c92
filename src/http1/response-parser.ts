import { SluiceError } from '../core/errors.ts'
import { isFraming, mayHaveBody } from './framing.ts'
import { headerValues } from './raw-headers.ts'

/** Bytes of an answer's head, with interim answers before it and trailers after its body. */
export const MAX_HEAD: number = 64 * 1024
/** Header lines of the same. */
export const MAX_LINES = 100
/** Bytes that a chunk may say beside its size. */
const MAX_EXTENSION = 256
/** Hexadecimal digits of a chunk's size: less than 2^52. */
const MAX_DIGITS = 13
const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/
/** The size of a chunk, and its extensions: `;name`, `;name=value`, `;name="value"`. */
const SIZE = /^([\da-f]+)((?:;[!#$%&'*+\-.^_`|~\da-z]+(?:=(?:[!#$%&'*+\-.^_`|~\da-z]+|"[^"\\]*"))?)*)$/i

/** What tells the end of a body: that there is none, its length, its last chunk, the end of the stream. */
export type Framing = 'none' | 'length' | 'chunked' | 'stream'

export interface ResponseHead {
  /** 200–599. */
  readonly status: number
  /** Names and values, as bytes in latin-1. */
  readonly headers: readonly string[]
  readonly framing: Framing
  /** Of the body, as far as the head tells. */
  readonly length: number | undefined
}

export interface ResponseSink {
  head(head: ResponseHead): void
  /** A piece of the body, never empty. */
  data(piece: Buffer): void
}

type State =
  | 'status'
  | 'fields'
  | 'body'
  | 'size'
  | 'chunk'
  | 'chunk-end'
  | 'trailers'
  | 'complete'
  | 'broken'

/**
 * Reads one HTTP/1 response (RFC 9112) from the bytes of a stream, however they are cut. It is strict, because
 * what is framed wrongly would be taken for the next answer: there is a `fault` as soon as something is wrong, and
 * nothing is handed on from then on. Two kindnesses for functions that print their answer in a shell: a line of the
 * head may end in a bare LF (RFC 9112 §2.2 allows it), and the reason phrase may be missing with its space.
 */
export class ResponseParser {
  readonly #sink: ResponseSink
  #state: State = 'status'
  #fault: SluiceError | undefined
  /** The line that is not complete yet. */
  #line = ''
  #room = MAX_HEAD
  #lines = 0
  #http10 = false
  #status = 0
  #headers: string[] = []
  #framing: Framing = 'none'
  /** Bytes of the body, or of its chunk, that are still to come. */
  #left = 0

  constructor(sink: ResponseSink) {
    this.#sink = sink
  }

  /** What is wrong with the answer: an `invalid-response` or a `response-head-too-large`. */
  get fault(): SluiceError | undefined {
    return this.#fault
  }

  /** The answer is over; no byte after it belongs to it. */
  get complete(): boolean {
    return this.#state === 'complete'
  }

  /** @returns how many bytes of the chunk belong to the answer: all of them until it is complete */
  push(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && this.#state !== 'complete') {
      if (this.#state === 'broken') return chunk.length
      if (this.#state === 'body' || this.#state === 'chunk') at = this.#takeBody(chunk, at)
      else if (this.#state === 'chunk-end') at = this.#takeChunkEnd(chunk, at)
      else at = this.#takeLine(chunk, at)
    }
    return at
  }

  /** The stream has ended. @returns whether the answer is complete with that */
  finish(): boolean {
    if (this.#state === 'body' && this.#framing === 'stream') this.#state = 'complete'
    return this.complete
  }

  #takeBody(chunk: Buffer, at: number): number {
    const end = this.#framing === 'stream' ? chunk.length : Math.min(chunk.length, at + this.#left)
    if (this.#framing !== 'stream') {
      this.#left -= end - at
      if (this.#left === 0) this.#state = this.#state === 'chunk' ? 'chunk-end' : 'complete'
    }
    this.#sink.data(chunk.subarray(at, end))
    return end
  }

  /** The CRLF after a chunk. */
  #takeChunkEnd(chunk: Buffer, at: number): number {
    this.#line += String.fromCharCode(chunk[at] as number)
    if (this.#line === '\r\n') {
      this.#line = ''
      this.#state = 'size'
    } else if (this.#line !== '\r') this.#break(malformed('a chunk is longer than its size'))
    return at + 1
  }

  #takeLine(chunk: Buffer, at: number): number {
    const newline = chunk.indexOf(0x0a, at)
    const end = newline < 0 ? chunk.length : newline + 1
    this.#line += chunk.toString('latin1', at, end)
    const complete = newline >= 0
    const fault = this.#measure(end - at) ?? (complete ? this.#hear(this.#line) : undefined)
    if (fault) this.#break(fault)
    if (complete) this.#line = ''
    return end
  }

  /** What is wrong with a line already, whether or not it is complete. */
  #measure(added: number): SluiceError | undefined {
    if (this.#state === 'size') {
      const most = MAX_DIGITS + MAX_EXTENSION + 2
      return this.#line.length > most ? malformed('the line of a chunk is too long') : undefined
    }
    if (this.#state === 'status' && !'HTTP/1.'.startsWith(this.#line.slice(0, 7))) {
      return malformed('the answer does not start with HTTP/1.1') // at once: no end of the line may ever come
    }
    this.#room -= added
    return this.#room < 0 ? tooLarge(`the head exceeds ${MAX_HEAD} bytes`) : undefined
  }

  #hear(line: string): SluiceError | undefined {
    const crlf = line.endsWith('\r\n')
    const text = line.slice(0, crlf ? -2 : -1)
    const inHead = this.#state === 'status' || this.#state === 'fields'
    if (!crlf && !inHead) return malformed('a line of a chunked body ends without CR')
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) return malformed('a line holds a control character')
    if (this.#state === 'status') return this.#hearStatus(text)
    if (this.#state === 'size') return this.#hearSize(text)
    if (text !== '') return this.#hearField(text)
    if (this.#state === 'fields') return this.#hearHeadEnd()
    this.#state = 'complete'
    return undefined
  }

  #hearStatus(text: string): SluiceError | undefined {
    const [, minor, status] = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: .*)?$/.exec(text) ?? []
    if (status === undefined) return malformed('the status line is malformed')
    this.#http10 = minor === '0'
    this.#status = Number(status)
    this.#state = 'fields'
    return undefined
  }

  #hearField(text: string): SluiceError | undefined {
    const colon = text.indexOf(':')
    if (++this.#lines > MAX_LINES) return tooLarge(`the head has more than ${MAX_LINES} lines`)
    if (text.startsWith(' ') || text.startsWith('\t')) return malformed('a header is folded over two lines')
    const name = text.slice(0, Math.max(0, colon))
    if (!TOKEN.test(name)) return malformed('a header line is malformed')
    if (this.#state === 'fields') this.#headers.push(name, trim(text.slice(colon + 1)))
    else if (isFraming(name.toLowerCase())) return malformed('a trailer says how the body is framed')
    return undefined
  }

  #hearHeadEnd(): SluiceError | undefined {
    if (this.#status === 101) return malformed('it switches protocols, which nobody asked for')
    if (this.#status < 200) {
      this.#headers = []
      this.#state = 'status'
      return undefined
    }
    return this.#frame() ?? this.#begin()
  }

  /** Finds out what will tell the end of the body. */
  #frame(): SluiceError | undefined {
    const lengths = headerValues(this.#headers, 'content-length')
    const encodings = headerValues(this.#headers, 'transfer-encoding')
    const length = lengths[0]
    if (lengths.length > 1) return malformed('it has more than one Content-Length')
    if (length !== undefined && !/^\d{1,15}$/.test(length))
      return malformed('its Content-Length is no length')
    if (encodings.length > 0) {
      if (length !== undefined) return malformed('it has both a Content-Length and a Transfer-Encoding')
      if (encodings.length > 1 || encodings[0]?.toLowerCase() !== 'chunked')
        return malformed('its Transfer-Encoding is not chunked')
      if (this.#http10) return malformed('it is HTTP/1.0 and has a Transfer-Encoding')
    }
    if (!mayHaveBody(this.#status)) this.#framing = 'none'
    else if (encodings.length > 0) this.#framing = 'chunked'
    else if (length === undefined) this.#framing = 'stream'
    else {
      this.#framing = 'length'
      this.#left = Number(length)
    }
    return undefined
  }

  #begin(): undefined {
    const framing = this.#framing
    if (framing === 'chunked') this.#state = 'size'
    else if (framing === 'stream' || this.#left > 0) this.#state = 'body'
    else this.#state = 'complete'
    const length = framing === 'length' ? this.#left : undefined
    this.#sink.head({ status: this.#status, headers: this.#headers, framing, length })
  }

  #hearSize(text: string): SluiceError | undefined {
    const [, digits, extensions = ''] = SIZE.exec(text) ?? []
    if (digits === undefined || digits.length > MAX_DIGITS)
      return malformed('the size of a chunk is malformed')
    if (extensions.length > MAX_EXTENSION) return malformed('the line of a chunk is too long')
    this.#left = Number.parseInt(digits, 16)
    this.#state = this.#left > 0 ? 'chunk' : 'trailers'
    return undefined
  }

  #break(fault: SluiceError): void {
    this.#state = 'broken'
    this.#fault = fault
  }
}

const malformed = (detail: string) => new SluiceError('invalid-response', undefined, { detail })
const tooLarge = (detail: string) => new SluiceError('response-head-too-large', undefined, { detail })

/** Without spaces and tabs at its ends. (What `trim` takes for a space may be part of a character in UTF-8.) */
function trim(value: string): string {
  const isSpace = (at: number) => value[at] === ' ' || value[at] === '\t'
  let start = 0
  let end = value.length
  while (start < end && isSpace(start)) start++
  while (end > start && isSpace(end - 1)) end--
  return value.slice(start, end)
}
