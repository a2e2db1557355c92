import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen } from '../../src/host/listen.ts'

/** A request that a fake node has seen, complete with its body unless it was answered before. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

export type Answer = (req: IncomingMessage, res: ServerResponse, body: Buffer) => void

export interface FakeNode extends AsyncDisposable {
  /** `host:port` */
  readonly name: string
  readonly port: number
  /** All but health checks. */
  readonly seen: readonly Seen[]
  /** Health checks seen: their paths. */
  readonly checks: readonly IncomingMessage[]
  /** What calls and other requests get, once their body has arrived. */
  answer: Answer
  /** Takes over before the body is read. */
  stream: ((req: IncomingMessage, res: ServerResponse) => void) | undefined
  /** What `/node/load` answers: nothing = 404. */
  load: object | undefined
  /** Status of `/version`, or of whatever is asked when there is no load. */
  health: number
  /** Stops at once, cutting every connection. */
  kill(): Promise<void>
}

/** A small HTTP server that stands for a node: it answers 200 with its own name until told otherwise. */
export async function fakeNode(port = 0): Promise<FakeNode> {
  const seen: Seen[] = []
  const checks: IncomingMessage[] = []
  const server = createServer({ maxHeaderSize: 262_144 }, (req, res) => {
    if (req.url === '/node/load' || req.headers['user-agent'] === undefined) return check(req, res)
    if (node.stream) return node.stream(req, res)
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method = '', url = '', headers, rawHeaders } = req
      seen.push({ method, url, headers, rawHeaders, body })
      node.answer(req, res, body)
    })
  })
  const check = (req: IncomingMessage, res: ServerResponse) => {
    checks.push(req)
    if (req.url !== '/node/load') res.writeHead(node.health).end()
    else if (node.load) res.end(JSON.stringify(node.load))
    else res.writeHead(404).end()
  }
  const address = await listen(server, { host: '127.0.0.1', port })
  const kill = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const node: FakeNode = {
    name: `127.0.0.1:${address.port}`,
    port: address.port,
    seen,
    checks,
    answer: (_req, res) => res.end(`127.0.0.1:${address.port}`),
    stream: undefined,
    load: undefined,
    health: 200,
    kill,
    [Symbol.asyncDispose]: kill,
  }
  return node
}
