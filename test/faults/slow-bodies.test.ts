import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { type VirtualClock, virtualClock } from '../../src/core/clock.ts'
import { http, INVOKE, type NodeRig, send, setUpNode } from '../support/node-rig.ts'
import { until } from '../support/until.ts'

const CHUNKED = 'Transfer-Encoding: chunked'
const LIMIT = 5_000

/** A node with three slots on a clock that only the test moves. */
async function setUp(t: TestContext): Promise<NodeRig & { readonly clock: VirtualClock }> {
  const clock = virtualClock()
  const counting = http((_req, res, body) => res.end(`${body.length}`))
  const rig = await setUpNode(t, counting, {
    fn: { max_concurrency: 3, timeout: 300 },
    node: { clock, bodyTimeout: LIMIT },
  })
  return { ...rig, clock }
}

function open(t: TestContext, { node }: NodeRig, line: string, body = ''): Socket {
  const client = connect(Number(new URL(node.url).port), '127.0.0.1')
  t.after(() => client.destroy())
  client.on('error', () => {})
  client.write(`POST ${INVOKE} HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n${body}`)
  return client
}

const load = async ({ node }: NodeRig): Promise<{ run: number; queue: number }> =>
  JSON.parse((await send(`${node.url}/node/load`, { method: 'GET' })).body)

test('150 callers who drip their bodies hold no slot, and are told in the end', async (t) => {
  const rig = await setUp(t)
  const drips = Array.from({ length: 150 }, () => open(t, rig, CHUNKED, '1\r\nx\r\n'))
  const answers = drips.map((client) => text(client))
  const { status, body } = await send(rig.node.url + INVOKE, { body: 'healthy' })
  assert.deepEqual([status, body], [200, '7'])
  for (const client of drips) client.write('1\r\nx\r\n')
  const { run, queue } = await load(rig)
  assert.deepEqual([run, queue, rig.driver.started], [0, 0, 1])
  rig.clock.advance(LIMIT)
  for (const answer of await Promise.all(answers)) {
    assert.match(answer, /^HTTP\/1\.1 408 .*Connection: close.*"Request body did not arrive in time"/s)
    assert.match(answer, /FN_BODY_TIMEOUT_MSECS/)
  }
})

test('a large body that stands still gives its slot back', async (t) => {
  const rig = await setUp(t)
  const client = open(t, rig, `Content-Length: ${2 ** 20}`, 'x'.repeat(100_000))
  const answer = text(client)
  await until('the call to run', async () => (await load(rig)).run === 1)
  await until('the call to end', async () => {
    rig.clock.advance(LIMIT)
    return (await load(rig)).run === 0
  })
  assert.match(await answer, /^HTTP\/1\.1 408 /)
})

test('what a caller takes to send its body is no wait of the node', async (t) => {
  const rig = await setUp(t)
  await send(rig.node.url + INVOKE, { body: 'warm' })
  const client = open(t, rig, 'Content-Length: 5\r\nConnection: close', 'he')
  const answer = text(client)
  await send(rig.node.url + INVOKE, { body: 'meanwhile' }) // the head of the slow one is read by now
  rig.clock.advance(LIMIT - 1)
  client.write('llo')
  assert.match(await answer, /^HTTP\/1\.1 200 .*FXLB-WAIT: 0s.*\r\n5$/s)
})
