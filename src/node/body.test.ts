import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { until } from '../../test/support/until.ts'
import { type VirtualClock, virtualClock } from '../core/clock.ts'
import { awaitBeginning, BEGINNING, watchBody } from './body.ts'

const KIB = 1024
const LIMIT = 1_000
const CHUNKED = 'Transfer-Encoding: chunked'

interface Rig {
  readonly clock: VirtualClock
  /** Sends a head with this line, and what belongs to it at once. */
  open(line: string, body?: string): Promise<{ readonly client: Socket; readonly req: IncomingMessage }>
}

async function setUp(t: TestContext): Promise<Rig> {
  const waiting: ((req: IncomingMessage) => void)[] = []
  const clients: Socket[] = []
  const server = createServer((req) => waiting.shift()?.(req))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return {
    clock: virtualClock(),
    async open(line, body = '') {
      const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
      clients.push(client.on('error', () => {}))
      const arrived = new Promise<IncomingMessage>((resolve) => waiting.push(resolve))
      client.write(`POST / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n${body}`)
      return { client, req: await arrived }
    },
  }
}

/** What is told of a body, in order. */
function listen(
  { clock }: Rig,
  req: IncomingMessage,
  enough = BEGINNING,
): { readonly said: string[]; readonly stop: Disposable } {
  const said: string[] = []
  const stop = awaitBeginning(req, enough, clock, LIMIT, {
    here: () => said.push('here'),
    coming: () => said.push('coming'),
    late: ({ code }) => said.push(code),
  })
  return { said, stop }
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

for (const [name, line, body] of [
  ['with a length', 'Content-Length: 5', 'hello'],
  ['in chunks', CHUNKED, `${chunk('hello')}0\r\n\r\n`],
] as const)
  test(`a body ${name} that comes with its head is here, and whole`, async (t) => {
    const rig = await setUp(t)
    const { req } = await rig.open(line, body)
    const { said } = listen(rig, req)
    await until('it to be here', () => said.includes('here'))
    assert.equal(String(await buffer(req)), 'hello')
    rig.clock.advance(10 * LIMIT)
    assert.equal(said.at(-1), 'here')
  })

test('a small body is here when the last of it is', async (t) => {
  const rig = await setUp(t)
  const { client, req } = await rig.open('Content-Length: 10', 'hello')
  const { said } = listen(rig, req)
  await until('the first half', () => req.readableLength === 5 && said.length > 0)
  assert.deepEqual(said, ['coming'])
  client.write('world')
  await until('it to be here', () => said.includes('here'))
  assert.equal(String(await buffer(req)), 'helloworld')
})

test('of a large body the first 64 KiB are enough, and nothing of it is lost', async (t) => {
  const rig = await setUp(t)
  const all = Buffer.alloc(1024 * KIB, 'abcdefg')
  const { client, req } = await rig.open(`Content-Length: ${all.length}`)
  const { said } = listen(rig, req)
  client.write(all.subarray(0, 63 * KIB))
  await until('most of it', () => req.readableLength === 63 * KIB)
  assert.deepEqual(said, ['coming'])
  client.write(all.subarray(63 * KIB))
  await until('it to be here', () => said.includes('here'))
  assert.ok(req.readableLength < 512 * KIB, 'a fast sender is held up')
  assert.ok((await buffer(req)).equals(all))
})

test('a body that drips is late in the end, however busy it looks', async (t) => {
  const rig = await setUp(t)
  const { client, req } = await rig.open(CHUNKED)
  const { said } = listen(rig, req)
  for (let i = 1; i <= 12; i++) {
    client.write(chunk('x'))
    await until('the drop', () => req.readableLength === i || said.length > 1)
    rig.clock.advance(LIMIT / 10)
  }
  assert.deepEqual(said, ['coming', 'body-late'])
})

test('where a function reads while its caller writes, one byte is enough', async (t) => {
  const rig = await setUp(t)
  const { client, req } = await rig.open(CHUNKED)
  const { said } = listen(rig, req, 1)
  await until('the head', () => said.includes('coming'))
  client.write(chunk('x'))
  await until('it to be here', () => said.includes('here'))
})

test('nobody is told of a body any more who does not wait', async (t) => {
  const rig = await setUp(t)
  const { client, req } = await rig.open('Content-Length: 10', 'hello')
  const { said, stop } = listen(rig, req)
  stop[Symbol.dispose]()
  client.write('world')
  await until('all of it', () => req.complete)
  rig.clock.advance(10 * LIMIT)
  assert.deepEqual(said, [])
})

test('however a body is cut into pieces, it is here and arrives as it was sent', async (t) => {
  const rig = await setUp(t)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 * KIB }), { maxLength: 8 }), async (sizes) => {
      const pieces = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size))
      const { client, req } = await rig.open(CHUNKED)
      const { said } = listen(rig, req)
      for (const piece of pieces) client.write(chunk(piece))
      client.write('0\r\n\r\n')
      await until('it to be here', () => said.includes('here'))
      assert.equal(String(await buffer(req)), pieces.join(''))
      client.destroy()
    }),
    { numRuns: 30 },
  )
})

test('a body that is read and does not go on stands still', async (t) => {
  const rig = await setUp(t)
  const { client, req } = await rig.open('Content-Length: 10', 'hello')
  const still: string[] = []
  let read = 0
  req.on('data', ({ length }) => {
    read += length
  })
  await until('the first half', () => read === 5)
  watchBody(req, rig.clock, LIMIT, ({ code }) => still.push(code))
  client.write('wor')
  await until('some more', () => read === 8)
  rig.clock.advance(LIMIT)
  assert.deepEqual(still, [])
  rig.clock.advance(LIMIT)
  assert.deepEqual(still, ['body-late'])
})

test('a body that nobody reads does not stand still', async (t) => {
  const rig = await setUp(t)
  const { req } = await rig.open('Content-Length: 10', 'hello')
  await until('the first half', () => req.readableLength === 5)
  watchBody(req, rig.clock, LIMIT, () => assert.fail('its reader is slow'))
  rig.clock.advance(10 * LIMIT)
})
