import { request } from 'node:http'

const HEADERS = {
  'fn-call-id': 'BENCH',
  'fn-deadline': '2099-01-01T00:00:00Z',
  'content-type': 'application/json',
}

/** One call to a function's socket; false when nobody listens, or the answer is no success. */
export function callSocket(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    request({ socketPath, path: '/call', method: 'POST', headers: HEADERS, agent: false }, (res) => {
      res.resume().on('end', () => resolve(res.statusCode === 200))
    })
      .on('error', () => resolve(false))
      .end('{"name":"Ada"}')
  })
}

/** Calls until somebody answers, for a minute at the most. */
export async function firstAnswer(socketPath: string): Promise<void> {
  for (const end = performance.now() + 60_000; !(await callSocket(socketPath)); ) {
    if (performance.now() > end) throw new Error(`nobody answers at ${socketPath}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
