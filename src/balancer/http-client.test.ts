import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerRig, send, sendRaw } from '../../test/support/balancer-rig.ts'

const call = '/invoke/01FN000000000000000000000A'

/** What is no request, and the status that its sender gets. */
const BROKEN = [
  ['not HTTP at all', 'SSH-2.0-x\r\n\r\n', 400],
  ['a version that is not there', `GET ${call} HTTP/9.9\r\nHost: h\r\n\r\n`, 400],
  ['two lengths', `POST ${call} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx`, 400],
  [
    'a length and chunks',
    `POST ${call} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'a chunk that is none',
    `POST ${call} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    400,
  ],
  ['a field without a name', `GET ${call} HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n`, 400],
  ['a bare line feed in a value', `GET ${call} HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n`, 400],
  ['no Host', `GET ${call} HTTP/1.1\r\n\r\n`, 400],
  ['a head beyond the limit', `GET ${call} HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(140_000)}\r\n\r\n`, 431],
] as const

for (const [what, text, status] of BROKEN)
  test(`${what} is answered ${status} without a body, and the connection is closed`, async () => {
    await using rig = await balancerRig(1)
    const answer = await sendRaw(rig.balancer.url, text)
    assert.match(
      answer,
      new RegExp(`^HTTP/1\\.1 ${status} [\\w ]+\\r\\n([\\w-]+: [^\\r\\n]+\\r\\n)*\\r\\n(0\\r\\n\\r\\n)?$`),
    )
    assert.match(answer, /\r\nConnection: close\r\n/i)
    assert.doesNotMatch(answer, /fxlb|fn-/i)
    assert.ok((rig.nodes[0]?.seen.length ?? 0) === 0)
    assert.equal((await send(rig.balancer.url + call)).status, 200)
  })

test('an answer of the balancer’s own is whole, says why, and keeps the connection', async () => {
  await using rig = await balancerRig(0)
  const head = 'Host: h\r\nUser-Agent: t\r\n'
  const got = await sendRaw(
    rig.balancer.url,
    `OPTIONS * HTTP/1.1\r\n${head}\r\nGET /metrics HTTP/1.1\r\n${head}\r\n` +
      `POST ${call} HTTP/1.1\r\n${head}Content-Length: 1\r\nConnection: close\r\n\r\nx`,
  )
  const lines = got.split('\r\n').filter((line) => line.includes('HTTP/'))
  assert.deepEqual(
    lines.map((line) => line.replace(/^.*\n/, '')),
    ['HTTP/1.1 204 No Content', 'HTTP/1.1 404 Not Found', 'HTTP/1.1 503 Service Unavailable'],
  )
  assert.match(got, /\{"message":"No node can take the call","detail":"0 nodes[^"]*","call_id":"\w{26}"\}\n$/)
})

test('a body that is coded besides being cut into chunks is refused: its node would not know', async () => {
  await using rig = await balancerRig(1)
  const request = (coding: string) =>
    `POST ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n` +
    `Transfer-Encoding: ${coding}\r\n\r\n1\r\nx\r\n0\r\n\r\n`
  assert.match(await sendRaw(rig.balancer.url, request('gzip, chunked')), /^HTTP\/1\.1 501 .*gzip, chunked/s)
  for (const coding of ['gzip', 'xchunked', 'chunked, gzip'])
    assert.match(await sendRaw(rig.balancer.url, request(coding)), /^HTTP\/1\.1 400 /)
  assert.equal(rig.nodes[0]?.seen.length, 0)
  assert.match(await sendRaw(rig.balancer.url, request('Chunked')), /^HTTP\/1\.1 200 /)
})
