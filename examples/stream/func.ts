import { setTimeout as sleep } from 'node:timers/promises'

interface Context {
  readonly signal: AbortSignal
}

/** Sends a line at a time instead of one answer at the end: `{ "lines": 5, "ms": 200 }`. */
export default async function stream(request: Request, ctx: Context): Promise<Response> {
  const text = await request.text()
  const { lines = 5, ms = 200 }: { lines?: number; ms?: number } = text ? JSON.parse(text) : {}
  return new Response(ReadableStream.from(count(lines, ms, ctx.signal)), {
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  })
}

async function* count(lines: number, ms: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  for (let line = 1; line <= lines; line++) {
    yield encoder.encode(`line ${line} of ${lines}\n`)
    if (line < lines) await sleep(ms, undefined, { signal })
  }
}
