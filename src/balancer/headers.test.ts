import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerRig, send, sendRaw } from '../../test/support/balancer-rig.ts'
import { isId } from '../core/ids.ts'

const call = '/invoke/01FN000000000000000000000A'

async function one() {
  const rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  return { ...rig, node, url: rig.balancer.url + call }
}

test('what only balancers and nodes may say is dropped from a client’s request', async () => {
  await using rig = await one()
  const forged = {
    'Fn-Call-Id': '01HAAAAAAAAAAAAAAAAAAAAAAA',
    'Fn-Warm-Only': '1',
    'FXLB-WAIT': '1s',
    'XXX-FXLB-WAIT': '1s',
    'Fn-Wait': 'queue=1s,start=0s,fetch=0s',
    'Fn-Load': 'run=0',
    'Fn-Function': 'x',
    'Fn-Reject': 'busy',
    'Fn-Origin': 'platform',
  }
  const got = await send(rig.url, { headers: { ...forged, 'Fn-Deadline': '2030-01-01T00:00:00Z' } })
  const headers = rig.node.seen[0]?.headers ?? {}
  for (const name of Object.keys(forged).slice(1)) assert.equal(headers[name.toLowerCase()], undefined, name)
  assert.ok(isId(String(headers['fn-call-id'])))
  assert.notEqual(headers['fn-call-id'], forged['Fn-Call-Id'])
  assert.equal(headers['fn-call-id'], got.headers['fn-call-id'])
  assert.equal(headers['fn-deadline'], '2030-01-01T00:00:00Z')
})

test('what a node says to the balancer is dropped from what the client gets', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.writeHead(200, [
      ...['FXLB-WAIT', '1ms', 'XXX-FXLB-WAIT', '1ms', 'Fn-Wait', 'queue=1ms,start=0s,fetch=0s'],
      ...[
        'Fn-Load',
        'run=1,queue=0,cap=4,idle=1,boot=b,seq=1',
        'Fn-Function',
        'f /',
        'Fn-Origin',
        'function',
      ],
      ...['Fn-Call-Id', 'someone else', 'Fn-Http-Status', '200'],
    ])
    res.end('ok')
  }
  const { headers } = await send(rig.url)
  const names = Object.keys(headers).filter((name) => /^(fn-|x+-?fxlb|fxlb)/.test(name))
  assert.deepEqual(names.sort(), ['fn-call-id', 'fn-http-status'])
  assert.ok(isId(String(headers['fn-call-id'])))
})

test('hop-by-hop fields and those that Connection names stay on their own connection, both ways', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.writeHead(200, [
      ...['Connection', 'X-Mine, keep-alive', 'X-Mine', 'node', 'X-End', 'node'],
      ...['Proxy-Authenticate', 'Basic', 'Upgrade', 'h2c', 'Content-Length', '2'],
    ])
    res.end('ok')
  }
  const headers = {
    Connection: 'close, X-Hop',
    'X-Hop': '1',
    TE: 'gzip',
    'Proxy-Authorization': 'b',
    'X-End': 'client',
  }
  const got = await send(rig.url, { headers })
  const seen = rig.node.seen[0]?.headers ?? {}
  for (const name of ['x-hop', 'te', 'proxy-authorization']) assert.equal(seen[name], undefined, name)
  assert.equal(seen['x-end'], 'client')
  for (const name of ['x-mine', 'proxy-authenticate', 'upgrade'])
    assert.equal(got.headers[name], undefined, name)
  assert.equal(got.headers['x-end'], 'node')
  assert.equal(got.text, 'ok')
})

test('the node learns who asked: Host is kept, X-Forwarded fields are added', async () => {
  await using rig = await one()
  await send(rig.url, { headers: { Host: 'fn.example:81' } })
  await send(rig.url, {
    headers: {
      'X-Forwarded-For': '10.1.1.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'outer.example',
    },
  })
  const [plain, proxied] = rig.node.seen.map(({ headers }) => headers)
  assert.equal(plain?.host, 'fn.example:81')
  assert.deepEqual(
    [plain?.['x-forwarded-for'], plain?.['x-forwarded-proto'], plain?.['x-forwarded-host']],
    ['127.0.0.1', 'http', 'fn.example:81'],
  )
  assert.deepEqual(
    [proxied?.['x-forwarded-for'], proxied?.['x-forwarded-proto'], proxied?.['x-forwarded-host']],
    ['10.1.1.1, 127.0.0.1', 'https', 'outer.example'],
  )
})

test('a request’s fields keep their case, their order and their repetitions', async () => {
  await using rig = await one()
  const raw = `GET ${call} HTTP/1.1\r\nHost: a\r\nUser-Agent: t\r\nX-B: 1\r\nx-A: 2\r\nX-B: 3\r\nConnection: close\r\n\r\n`
  await sendRaw(rig.balancer.url, raw)
  const seen = rig.node.seen[0]?.rawHeaders ?? []
  const at = seen.indexOf('X-B')
  assert.deepEqual(seen.slice(at, at + 6), ['X-B', '1', 'x-A', '2', 'X-B', '3'])
})

test('bytes beyond ASCII in a field arrive as they were sent', async () => {
  await using rig = await one()
  rig.node.answer = (req, res) => {
    res.setHeader('X-Echo', req.headers['x-name'] as string)
    res.end()
  }
  const got = await send(rig.url, { headers: { 'X-Name': 'caf\u00e9 \u00ff' } })
  assert.equal(got.headers['x-echo'], 'caf\u00e9 \u00ff')
})

test('Server-Timing has the node’s entries and the balancer’s own', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.setHeader('Server-Timing', 'queue;dur=1.00, run;dur=5.00')
    res.end()
  }
  assert.match(
    String((await send(rig.url)).headers['server-timing']),
    /^queue;dur=1\.00, run;dur=5\.00, lb;dur=\d+\.\d\d$/,
  )
})

test('without one from the node Server-Timing shows the clocks of the wait', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.setHeader('Fn-Wait', 'queue=12ms,start=640ms,fetch=0s')
    res.end()
  }
  assert.match(
    String((await send(rig.url)).headers['server-timing']),
    /^queue;dur=12\.00, start;dur=640\.00, fetch;dur=0\.00, lb;dur=\d+\.\d\d$/,
  )
})

test('a path that is no call gets no call id and keeps its Server-Timing', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.setHeader('Server-Timing', 'db;dur=1')
    res.end()
  }
  const got = await send(`${rig.balancer.url}/v2/apps`, { headers: { 'Fn-Call-Id': 'forged' } })
  assert.equal(got.headers['server-timing'], 'db;dur=1')
  assert.equal(got.headers['fn-call-id'], undefined)
  assert.equal(rig.node.seen[0]?.headers['fn-call-id'], undefined)
})

test('Expect is answered here and not passed on', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res, body) => res.end(body)
  const raw = `POST ${call} HTTP/1.1\r\nHost: a\r\nUser-Agent: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi`
  assert.match(
    await sendRaw(rig.balancer.url, raw),
    /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*hi$/,
  )
  assert.equal(rig.node.seen[0]?.headers.expect, undefined)
})

test('several Host fields are refused', async () => {
  await using rig = await one()
  const raw = `GET ${call} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`
  assert.match(await sendRaw(rig.balancer.url, raw), /^HTTP\/1\.1 400 /)
  assert.equal(rig.node.seen.length, 0)
})

for (const [name, framing] of [
  ['two lengths', 'Content-Length: 2\r\nContent-Length: 3'],
  ['a length and an encoding', 'Content-Length: 2\r\nTransfer-Encoding: chunked'],
  ['an encoding that hides itself', 'Transfer-Encoding: xchunked'],
] as const)
  test(`a request with ${name} is refused`, async () => {
    await using rig = await one()
    const raw = `POST ${call} HTTP/1.1\r\nHost: a\r\nUser-Agent: t\r\n${framing}\r\nConnection: close\r\n\r\n0\r\n\r\n`
    assert.match(await sendRaw(rig.balancer.url, raw), /^HTTP\/1\.1 400 /)
    assert.equal(rig.node.seen.length, 0)
  })

test('a target with a host is the same as one without', async () => {
  await using rig = await one()
  const raw = `GET http://fn.example${call}?a=1 HTTP/1.1\r\nHost: fn.example\r\nUser-Agent: t\r\nConnection: close\r\n\r\n`
  assert.match(await sendRaw(rig.balancer.url, raw), /^HTTP\/1\.1 200 [\s\S]*fn-call-id/i)
  assert.equal(rig.node.seen[0]?.url, `${call}?a=1`)
})

test('OPTIONS * is answered here', async () => {
  await using rig = await one()
  const raw = 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  assert.match(await sendRaw(rig.balancer.url, raw), /^HTTP\/1\.1 204 /)
})

test('HEAD, 204 and 304 come without a body, and a HEAD with its length', async () => {
  await using rig = await one()
  rig.node.answer = (req, res) => {
    if (req.method === 'HEAD') res.writeHead(200, { 'Content-Length': '12' }).end()
    else res.writeHead(Number(req.headers['x-status']), { ETag: '"e"' }).end()
  }
  const head = await send(rig.url, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '12', ''])
  for (const status of [204, 304]) {
    const got = await send(rig.url, { headers: { 'X-Status': `${status}` } })
    assert.deepEqual([got.status, got.headers.etag, got.text], [status, '"e"', ''])
    assert.equal(got.headers['transfer-encoding'], undefined)
  }
})

test('an answer’s trailers arrive, but not what only nodes may say', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.writeHead(200, { Trailer: 'X-Sum' })
    res.write('body')
    res.addTrailers({ 'X-Sum': '42', 'FXLB-WAIT': '1s' })
    res.end()
  }
  assert.deepEqual({ ...(await send(rig.url)).trailers }, { 'x-sum': '42' })
})

test('fields of 64 KiB pass both ways', async () => {
  await using rig = await one()
  const large = 'x'.repeat(65_536)
  rig.node.answer = (req, res) => {
    res.setHeader('X-Length', `${req.headers['x-large']?.length}`)
    res.end()
  }
  assert.equal((await send(rig.url, { headers: { 'X-Large': large } })).headers['x-length'], '65536')
  rig.node.answer = (_req, res) => {
    res.setHeader('X-Large', large.slice(0, 16_000))
    res.setHeader('X-Larger', large)
    res.end()
  }
  const raw = `GET ${call} HTTP/1.1\r\nHost: a\r\nUser-Agent: t\r\nConnection: close\r\n\r\n`
  assert.ok((await sendRaw(rig.balancer.url, raw)).includes(`X-Larger: ${large}\r\n`))
})

test('a client of HTTP/1.0 gets its answer, and the connection ends', async () => {
  await using rig = await one()
  rig.node.answer = (_req, res) => {
    res.write('part ')
    res.end('whole')
  }
  const got = await sendRaw(rig.balancer.url, `GET ${call} HTTP/1.0\r\nUser-Agent: t\r\n\r\n`)
  assert.match(got, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\npart whole$/)
})

test('methods and bodies pass as they are', async () => {
  await using rig = await one()
  rig.node.answer = (req, res, body) => res.end(`${req.method} ${body}`)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET'])
    assert.equal(
      (await send(rig.url, { method, body: 'b', headers: { 'Content-Length': '1' } })).text,
      `${method} b`,
    )
  assert.equal((await send(rig.url, { method: 'POST' })).text, 'POST ')
})
