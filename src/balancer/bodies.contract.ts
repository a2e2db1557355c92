import assert from 'node:assert/strict'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { testBalancer } from '../../test/support/balancer-rig.ts'
import { until } from '../../test/support/until.ts'
import { listen } from '../host/listen.ts'
import { MAX_KEPT } from './body.ts'
import type { Exchange, Forwarder } from './forwarder.ts'

/** One upload, and what happens to it on its way. */
interface Upload {
  /** Sizes of the pieces that the client writes. */
  readonly pieces: readonly number[]
  /** Turns of the event loop between two pieces. */
  readonly pause: number
  /** Nodes that refuse before one accepts. */
  readonly refusals: number
  /** Bytes that a node reads before it refuses; beyond the body = all of it. */
  readonly readBefore: number
  /** The node that refuses closes the connection with its answer. */
  readonly closes: boolean
  /** Turns that each connect takes. */
  readonly connect: number
  /** The client goes away after this piece. */
  readonly abortAfter: number | undefined
}

const upload: fc.Arbitrary<Upload> = fc.record({
  pieces: fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1_000, max: 30_000 })), {
    maxLength: 8,
  }),
  pause: fc.integer({ min: 0, max: 3 }),
  refusals: fc.integer({ min: 0, max: 2 }),
  readBefore: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 120_000 }), fc.constant(2 ** 30)),
  closes: fc.boolean(),
  connect: fc.integer({ min: 0, max: 4 }),
  abortAfter: fc.option(fc.integer({ min: 0, max: 7 }), { nil: undefined, freq: 4 }),
})

/** What a balancer over this forwarder promises of a body, whoever refuses it and whenever. */
export function bodiesContract(make: () => Forwarder): void {
  test('a body arrives byte for byte or not at all, whatever is refused, slow or broken off', async () => {
    await using nodes = await refusingNodes(3)
    const slow = slowForwarder(make())
    await using balancer = await testBalancer({
      nodes: nodes.names,
      strategy: 'round-robin',
      forwarder: slow.forwarder,
    })
    let resent = 0
    await fc.assert(
      fc.asyncProperty(upload, async (upload) => {
        nodes.begin(upload)
        slow.turns = upload.connect
        const whole = bytesOf(upload.pieces)
        const status = await send(`${balancer.url}/invoke/f`, upload, whole)
        if (status === undefined) {
          await until('nothing is outstanding', () =>
            Object.values(balancer.stats().inflight).every((count) => count === 0),
          )
          await turns(2)
          for (const got of nodes.accepted) assert.fail(`${got.length} bytes passed for a whole body`)
          return
        }
        if (whole.length <= MAX_KEPT) assert.equal(status, 200)
        if (status !== 200) return
        assert.equal(nodes.accepted.length, 1)
        assert.ok(nodes.accepted[0]?.equals(whole), `${nodes.accepted[0]?.length} of ${whole.length} bytes`)
        if (upload.refusals > 0 && whole.length > 0) resent++
      }),
      { numRuns: 150 },
    )
    assert.ok(resent > 10, `${resent} bodies were sent again`)
  })
}

const bytesOf = (sizes: readonly number[]): Buffer =>
  Buffer.from(Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, i) => (i * 7) % 251))

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** The status of the answer, `undefined` when the client went away before. */
async function send(url: string, upload: Upload, whole: Buffer): Promise<number | undefined> {
  const { pieces, pause, abortAfter } = upload
  const req = httpRequest(url, { method: 'POST', agent: false, headers: { 'User-Agent': 'test' } })
  const answer = new Promise<number | undefined>((resolve) => {
    req.on('response', (res) => res.resume().on('close', () => resolve(res.statusCode)))
    req.on('error', () => resolve(undefined))
  })
  req.flushHeaders()
  let at = 0
  for (const [i, size] of pieces.entries()) {
    req.write(whole.subarray(at, at + size))
    at += size
    await turns(pause)
    if (i !== abortAfter) continue
    req.destroy()
    await answer
    return undefined
  }
  req.end()
  return answer
}

interface RefusingNodes extends AsyncDisposable {
  readonly names: readonly string[]
  /** Bodies of the requests that were accepted and whole since {@link begin}. */
  readonly accepted: Buffer[]
  begin(upload: Upload): void
}

async function refusingNodes(count: number): Promise<RefusingNodes> {
  let upload: Upload | undefined
  let left = 0
  const accepted: Buffer[] = []
  const serve = (req: IncomingMessage, res: ServerResponse) => {
    if (req.url === '/node/load') return void res.writeHead(404).end()
    if (req.headers['user-agent'] === undefined) return void res.end()
    if (left > 0 && upload) {
      left--
      refuse(req, res, upload)
      return
    }
    const mine = upload
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      if (mine === upload) accepted.push(Buffer.concat(chunks))
      res.end('taken')
    })
  }
  const servers = Array.from({ length: count }, () => createServer(serve))
  const names: string[] = []
  for (const server of servers) {
    const { port } = await listen(server, { host: '127.0.0.1', port: 0 })
    names.push(`127.0.0.1:${port}`)
  }
  return {
    names,
    accepted,
    begin(next) {
      upload = next
      left = next.refusals
      accepted.length = 0
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

/** Answers once it has read so much, and reads on, as servers do. */
function refuse(req: IncomingMessage, res: ServerResponse, { readBefore, closes }: Upload): void {
  let read = 0
  let answered = false
  const answer = () => {
    if (answered) return
    answered = true
    res.writeHead(503, { 'Fn-Reject': 'busy', ...(closes && { Connection: 'close' }) }).end('no')
  }
  if (readBefore === 0) answer()
  req.on('data', (chunk: Buffer) => {
    read += chunk.length
    if (read >= readBefore) answer()
  })
  req.on('end', answer)
}

/** A forwarder whose connects take as many turns as it is told. */
function slowForwarder(inner: Forwarder): { turns: number; readonly forwarder: Forwarder } {
  const slow = {
    turns: 0,
    forwarder: {
      forward(node, head, body, receiver) {
        let exchange: Exchange | undefined
        let aborted = false
        const start = () => {
          if (!aborted) exchange = inner.forward(node, head, body, receiver)
        }
        if (slow.turns === 0) start()
        else void turns(slow.turns).then(start)
        return {
          resume: () => exchange?.resume(),
          abort() {
            aborted = true
            exchange?.abort()
          },
        }
      },
      forget: (node) => inner.forget(node),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    } satisfies Forwarder,
  }
  return slow
}
