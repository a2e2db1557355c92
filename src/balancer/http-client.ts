import type { IncomingMessage } from 'node:http'
import type { Source } from './body.ts'

/** The body of a request as node:http reads it. */
export function requestSource(req: IncomingMessage): Source {
  return {
    length: lengthOf(req),
    to(sink) {
      req.pause() // to listen would start it
      req.on('data', (chunk: Buffer) => sink.data(chunk))
      req.on('end', () => sink.end())
    },
    resume: () => void req.resume(),
    pause: () => void req.pause(),
  }
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}
