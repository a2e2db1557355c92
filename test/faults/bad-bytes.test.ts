import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hello, http, INVOKE, setUpNode } from '../support/node-rig.ts'
import { rawCaller, requestOf } from '../support/raw-caller.ts'
import { until } from '../support/until.ts'

const HEAD = `POST ${INVOKE} HTTP/1.1\r\nHost: localhost\r\n`
const BAD: readonly [string, number, string][] = [
  ['no HTTP', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ['a header without a colon', 400, `${HEAD}nonsense\r\n\r\n`],
  ['two lengths', 400, `${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`],
  ['a length and chunks', 400, `${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['a head beyond 1 MiB', 431, `${HEAD}X-Big: ${'x'.repeat(1_100_000)}\r\n\r\n`],
  ['no Host', 400, `POST ${INVOKE} HTTP/1.1\r\nConnection: close\r\n\r\n`],
]

for (const [name, status, bytes] of BAD)
  test(`${name} is answered ${status} with what every answer of a node says, and the connection is closed`, async (t) => {
    const { node } = await setUpNode(t, hello())
    const [head = '', body = ''] = (await rawCaller(node, bytes).closed).split('\r\n\r\n')
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} \\w`))
    assert.match(head, /^fxlb-wait: 0s$/im)
    assert.match(head, /^fn-load: run=0,queue=0,cap=\d+,idle=0,boot=\w+,seq=\d+$/im)
    assert.match(head, /^fn-origin: platform$/im)
    assert.equal(typeof (JSON.parse(body) as { message: unknown }).message, 'string')
  })

test('bytes that follow a request never end up in its answer', async (t) => {
  let end = () => {}
  const slow = http((_req, res) => {
    res.write('first')
    end = () => res.end('last')
  })
  const { node } = await setUpNode(t, slow)
  const caller = rawCaller(node, requestOf(INVOKE, 'x'))
  await until('the answer to begin', () => caller.seen().includes('first'))
  caller.socket.write('nonsense\r\n\r\n')
  const seen = await caller.closed
  assert.equal(seen.match(/HTTP\/1\.1/g)?.length, 1)
  end()
})
