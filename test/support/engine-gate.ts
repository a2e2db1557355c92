import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { tempDir } from './temp.ts'

/** What becomes of a request: `pass`, `hang` (no answer ever), `lose` (done, but the answer is lost), or an answer. */
export type Fate = 'pass' | 'hang' | 'lose' | { readonly status: number; readonly message: string }

/** An engine's front door, to play tricks at. */
export interface Gate extends AsyncDisposable {
  readonly host: string
  /** `METHOD /path` of what came, without the query. */
  readonly requests: string[]
  fate: (request: string) => Fate
  /** Of the body of a request. */
  rewrite: (body: string) => string
}

export async function openGate(host: string): Promise<Gate> {
  const behind = host.replace('unix://', '')
  const dir = await tempDir()
  const path = join(dir.path, 'gate.sock')
  const sockets = new Set<Socket>()
  const gate: Gate = {
    host: `unix://${path}`,
    requests: [],
    fate: () => 'pass',
    rewrite: (body) => body,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await dir[Symbol.asyncDispose]()
    },
  }
  const server = createServer((req, res) => {
    const name = `${req.method} ${req.url?.split('?')[0]}`
    gate.requests.push(name)
    const fate = gate.fate(name)
    if (fate === 'hang') return
    if (typeof fate === 'object') {
      res.writeHead(fate.status, { 'Content-Type': 'application/json' })
      res.end(JSON.stringify({ message: fate.message }))
    } else forward(req, res, { behind, gate, lose: fate === 'lose' }).catch(() => res.destroy())
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    const engine = connect(behind)
    const lines = req.rawHeaders.flatMap((text, i, all) => (i % 2 === 0 ? [`${text}: ${all[i + 1]}`] : []))
    engine.write(`${req.method} ${req.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    engine.write(head)
    for (const end of [engine, socket]) end.on('error', () => {})
    engine.pipe(socket).pipe(engine)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return gate
}

interface Way {
  readonly behind: string
  readonly gate: Gate
  readonly lose: boolean
}

async function forward(
  req: IncomingMessage,
  res: ServerResponse,
  { behind, gate, lose }: Way,
): Promise<void> {
  const isJson = /json/.test(req.headers['content-type'] ?? '')
  const body = isJson ? Buffer.from(gate.rewrite((await buffer(req)).toString())) : undefined
  const headers = { ...req.headers, ...(body && { 'content-length': String(body.length) }) }
  const onward = request({ socketPath: behind, method: req.method, path: req.url, headers, agent: false })
  res.once('close', () => onward.destroy())
  onward.once('error', () => res.destroy())
  onward.once('response', (answer) => {
    if (lose) return answer.resume().once('end', () => res.destroy())
    res.writeHead(answer.statusCode as number, answer.headers)
    return answer.pipe(res)
  })
  if (body) onward.end(body)
  else req.pipe(onward)
}
