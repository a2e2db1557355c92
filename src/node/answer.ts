import type { IncomingMessage, ServerResponse } from 'node:http'
import { mayHaveBody } from '../http1/framing.ts'
import { answerTrailers } from './function-headers.ts'

/**
 * What a caller gets of a function's answer, as it streams. Its head and its first piece are held back until the end
 * of the tick in which they came: often that is all there is, and then it is one write, and has a length.
 */
export class Answer {
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #head: { readonly status: number; readonly headers: string[] } | undefined
  #held: Buffer | undefined

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.#req = req
    this.#res = res
  }

  /** @param headers raw pairs */
  head(status: number, headers: string[]): void {
    if (this.#req.method === 'HEAD') dropLength(headers)
    this.#head = { status, headers }
    // A head without a body yet must not wait for one: a stream may begin with silence.
    process.nextTick(() => this.#flush())
  }

  /** Returns false when the caller is slower; `resume` is called when it can take more. */
  data(chunk: Buffer, resume: () => void): boolean {
    if (this.#head && !this.#held) {
      this.#held = chunk
      return true
    }
    this.#flush()
    if (this.#res.write(chunk)) return true
    this.#res.once('drain', resume)
    return false
  }

  end(rawTrailers: readonly Buffer[]): void {
    const head = this.#head
    const last = this.#held
    this.#head = undefined
    this.#held = undefined
    if (head) {
      if (rawTrailers.length === 0 && this.#mayHaveLength(head))
        head.headers.push('Content-Length', String(last?.length ?? 0))
      this.#res.writeHead(head.status, head.headers)
    }
    if (rawTrailers.length > 0 && !this.#res.hasHeader('content-length'))
      this.#res.addTrailers(answerTrailers(rawTrailers))
    this.#res.end(last)
  }

  /** Forgets what has not left. Returns false when the caller has seen something already. */
  takeBack(): boolean {
    this.#head = undefined
    this.#held = undefined
    return !this.#res.headersSent && !this.#res.destroyed
  }

  #flush(): void {
    const head = this.#head
    if (!head || this.#res.destroyed) return
    const chunk = this.#held
    this.#head = undefined
    this.#held = undefined
    this.#res.writeHead(head.status, head.headers)
    if (chunk) this.#res.write(chunk)
    else this.#res.flushHeaders()
  }

  #mayHaveLength({ status, headers }: { status: number; headers: readonly string[] }): boolean {
    if (this.#req.method === 'HEAD' || !mayHaveBody(status)) return false
    for (let i = 0; i < headers.length; i += 2)
      if ((headers[i] as string).toLowerCase() === 'content-length') return false
    return true
  }
}

function dropLength(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if ((headers[i] as string).toLowerCase() === 'content-length') headers.splice(i, 2)
  }
}
