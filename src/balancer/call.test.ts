import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { balancerRig, send, testBalancer } from '../../test/support/balancer-rig.ts'
import { fakeNode } from '../../test/support/fake-node.ts'
import { until } from '../../test/support/until.ts'
import { virtualClock } from '../core/clock.ts'
import { isId } from '../core/ids.ts'

const call = '/invoke/01FN000000000000000000000A'

test('row 67: a request through the balancer equals the direct answer', async () => {
  await using rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  node.answer = (req, res, body) => {
    res.writeHead(418, 'Teapot', [
      'X-Twice',
      'one',
      'X-Twice',
      'two',
      'X-CaSe',
      'kept',
      'Content-Type',
      'text/odd',
    ])
    res.end(`${req.method} ${req.url} ${body}`)
  }
  const asked = { method: 'PUT', body: 'hello', headers: { Host: 'fn.example' } }
  const got = await send(`${rig.balancer.url}/v2/apps?x=%20y`, asked)
  const direct = await send(`http://${node.name}/v2/apps?x=%20y`, asked)
  assert.deepEqual([got.status, got.text], [direct.status, direct.text])
  const names = ({ rawHeaders }: { rawHeaders: readonly string[] }) =>
    rawHeaders.filter((_, i) => /^(x-|content-type)/i.test(rawHeaders[i - (i % 2)] ?? ''))
  assert.deepEqual(names(got), names(direct))
})

test('row 68: 100 sequential calls of a quick function land on one node', async () => {
  await using rig = await balancerRig(3)
  const answered = new Set<string>()
  for (let i = 0; i < 100; i++) answered.add((await send(rig.balancer.url + call)).text)
  assert.equal(answered.size, 1)
})

test('row 70: two balancers given the same nodes in different order choose the same node', async () => {
  await using rig = await balancerRig(4)
  await using other = await testBalancer({ nodes: rig.nodes.map(({ name }) => name).reverse() })
  for (let i = 0; i < 12; i++) {
    const path = `/invoke/fn${i}`
    assert.equal((await send(rig.balancer.url + path)).text, (await send(other.url + path)).text)
  }
})

for (const header of ['FXLB-WAIT', 'XXX-FXLB-WAIT', 'Fn-Wait'])
  test(`row 71: a function that waits long by ${header} overflows, the others stay`, async () => {
    await using rig = await balancerRig(3)
    const home = (await send(rig.balancer.url + call)).text
    const other = (await send(`${rig.balancer.url}/invoke/other`)).text
    for (const node of rig.nodes) {
      node.answer = (req, res) => {
        const slow = node.name === home && req.url === call
        const wait = slow ? '60s' : '1ms'
        res.setHeader(header, header === 'Fn-Wait' ? `queue=${wait},start=0s,fetch=0s` : wait)
        res.end(node.name)
      }
    }
    let stayed = 0
    for (let i = 0; i < 100; i++) if ((await send(rig.balancer.url + call)).text === home) stayed++
    assert.ok(stayed < 25, `${stayed} of 100 stayed`)
    for (let i = 0; i < 10; i++) assert.equal((await send(`${rig.balancer.url}/invoke/other`)).text, other)
  })

test('row 77: without a node a call is answered 503 and told why', async () => {
  await using balancer = await testBalancer({ nodes: ['', ' '] })
  const got = await send(balancer.url + call, { method: 'POST', body: 'x' })
  assert.equal(got.status, 503)
  assert.match(JSON.parse(got.text).detail, /0 nodes/)
  assert.ok(isId(String(got.headers['fn-call-id'])))
})

test('when every node is unreachable the answer names the last error', async () => {
  await using rig = await balancerRig(2)
  for (const node of rig.nodes) await node.kill()
  const got = await send(rig.balancer.url + call)
  assert.equal(got.status, 503)
  assert.match(JSON.parse(got.text).detail, /2 nodes.*ECONNREFUSED/)
})

test('a node that refuses connections costs no call', async () => {
  await using rig = await balancerRig(3)
  const home = (await send(rig.balancer.url + call)).text
  await rig.nodes.find((node) => node.name === home)?.kill()
  for (let i = 0; i < 10; i++) {
    const got = await send(rig.balancer.url + call, { method: 'POST', body: 'kept' })
    assert.equal(got.status, 200)
    assert.notEqual(got.text, home)
  }
})

test('two failed connects take a node out without waiting for a check', async () => {
  await using rig = await balancerRig(2, { clock: virtualClock() })
  const [dead] = rig.nodes
  assert.ok(dead)
  await until('the first sweep', () => rig.nodes.every((node) => node.checks.length >= 2))
  await dead.kill()
  await until('offline', async () => {
    await send(`${rig.balancer.url}/v2/apps`)
    return rig.balancer.nodes.list()[dead.name] === 'offline'
  })
})

for (const reject of ['busy', 'draining', 'no-image'])
  test(`a call that a node refuses as ${reject} goes to another one with the same body and id`, async () => {
    await using rig = await balancerRig(3)
    const home = (await send(rig.balancer.url + call)).text
    const refuser = rig.nodes.find((node) => node.name === home)
    assert.ok(refuser)
    refuser.answer = (_req, res) => {
      res
        .writeHead(503, { 'Fn-Reject': reject, 'Fn-Load': 'run=1,queue=9,cap=1,idle=0,boot=b,seq=1' })
        .end('no')
    }
    const got = await send(rig.balancer.url + call, { method: 'POST', body: 'precious' })
    assert.equal(got.status, 200)
    const taker = rig.nodes.find((node) => node.name === got.text)
    assert.equal(taker?.seen.at(-1)?.body.toString(), 'precious')
    assert.equal(taker?.seen.at(-1)?.headers['fn-call-id'], got.headers['fn-call-id'])
    assert.equal(refuser.seen.at(-1)?.headers['fn-call-id'], got.headers['fn-call-id'])
  })

test('a body without a length is kept for the retry while it is small', async () => {
  await using rig = await balancerRig(2)
  let refused = 0
  for (const node of rig.nodes)
    node.answer = (_req, res, body) => {
      if (refused++ === 0) res.writeHead(503, { 'Fn-Reject': 'busy' }).end()
      else res.end(body)
    }
  const body = 'x'.repeat(20_000)
  const got = await send(rig.balancer.url + call, { method: 'POST', body, chunked: true })
  assert.deepEqual([got.status, got.text === body, refused], [200, true, 2])
})

test('a large body of which part was read is not sent again: the refusal is passed on', async () => {
  await using rig = await balancerRig(2)
  let asked = 0
  for (const node of rig.nodes)
    node.answer = (_req, res) => {
      asked++
      res.writeHead(503, { 'Fn-Reject': 'busy' }).end('no room')
    }
  const got = await send(rig.balancer.url + call, { method: 'POST', body: Buffer.alloc(500_000) })
  assert.deepEqual([got.status, got.text, asked], [503, 'no room', 1])
})

test('a large body goes to the next node whole when the first refuses the connection', async () => {
  await using rig = await balancerRig(2)
  const home = (await send(rig.balancer.url + call)).text
  await rig.nodes.find((node) => node.name === home)?.kill()
  for (const node of rig.nodes) node.answer = (_req, res, body) => res.end(`${body.length}`)
  const got = await send(rig.balancer.url + call, { method: 'POST', body: Buffer.alloc(1_000_000) })
  assert.equal(got.text, '1000000')
})

test('a quota is never asked of another node', async () => {
  await using rig = await balancerRig(3)
  let asked = 0
  for (const node of rig.nodes)
    node.answer = (_req, res) => {
      asked++
      res.writeHead(429, { 'Fn-Reject': 'quota' }).end('enough')
    }
  const got = await send(rig.balancer.url + call)
  assert.deepEqual([got.status, got.text, asked], [429, 'enough', 1])
  assert.equal(got.headers['fn-reject'], undefined)
})

test('when every node refuses, the last refusal is passed on', async () => {
  await using rig = await balancerRig(3)
  let asked = 0
  for (const node of rig.nodes)
    node.answer = (_req, res) => {
      asked++
      res.writeHead(503, { 'Fn-Reject': 'busy' }).end('full')
    }
  const got = await send(rig.balancer.url + call)
  assert.deepEqual([got.status, got.text, asked], [503, 'full', 3])
})

test('a node that drains gets no more calls', async () => {
  await using rig = await balancerRig(2, { clock: virtualClock() })
  const home = (await send(rig.balancer.url + call)).text
  const drains = rig.nodes.find((node) => node.name === home)
  assert.ok(drains)
  await until('the first sweep', () => rig.nodes.every((node) => node.checks.length >= 2))
  drains.answer = (_req, res) => res.writeHead(503, { 'Fn-Reject': 'draining' }).end()
  const before = drains.seen.length
  for (let i = 0; i < 5; i++) assert.equal((await send(rig.balancer.url + call)).status, 200)
  assert.equal(drains.seen.length, before + 1)
})

test('a call whose node dies before it answers is not repeated: it may have run', async () => {
  await using rig = await balancerRig(3)
  let ran = 0
  for (const node of rig.nodes)
    node.answer = (req) => {
      ran++
      req.socket.destroy()
    }
  const got = await send(rig.balancer.url + call, { method: 'POST', body: 'once' })
  assert.deepEqual([got.status, ran], [502, 1])
  const error = JSON.parse(got.text)
  assert.match(error.message, /node was lost/)
  assert.match(error.detail, /node 127\.0\.0\.1:\d+ .*may have been carried out/)
  assert.ok(isId(String(got.headers['fn-call-id'])))
})

for (const framing of ['chunked', 'with a length'])
  test(`an answer ${framing} whose node dies half-way is broken, never a short success`, async () => {
    await using rig = await balancerRig(1)
    const [node] = rig.nodes
    assert.ok(node)
    node.answer = (req, res) => {
      if (framing !== 'chunked') res.setHeader('Content-Length', '1000')
      res.write('half')
      setImmediate(() => req.socket.destroy())
    }
    await assert.rejects(send(rig.balancer.url + call), { code: 'ECONNRESET' })
  })

test('a client that goes away is noticed by the node', async () => {
  await using rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  const running = Promise.withResolvers<IncomingMessage>()
  node.answer = (req) => running.resolve(req)
  const abort = new AbortController()
  const gone = assert.rejects(
    send(rig.balancer.url + call, { method: 'POST', body: 'x', signal: abort.signal }),
  )
  const req = await running.promise
  const noticed = new Promise((resolve) => req.socket.on('close', resolve))
  abort.abort()
  await Promise.all([gone, noticed])
  await until('nothing outstanding', () => Object.values(rig.balancer.stats().inflight).every((n) => n === 0))
})

test('a client that goes away in the middle of its body is noticed by the node', async () => {
  await using rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  const broken = new Promise<void>((resolve) => {
    node.stream = (req) => {
      req.resume()
      req.on('close', () => !req.complete && resolve())
    }
  })
  const req = httpRequest(rig.balancer.url + call, { method: 'POST', headers: { 'User-Agent': 'test' } })
  req.on('error', () => {})
  req.write('beginning')
  await until('the node has it', () => rig.balancer.stats().inflight[node.name] === 1)
  req.destroy()
  await broken
})

test('a node counts its calls outstanding and they return to zero', async () => {
  await using rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  const held: (() => void)[] = []
  node.answer = (_req, res) => held.push(() => res.end())
  const calls = [send(rig.balancer.url + call), send(rig.balancer.url + call)]
  await until('both run', () => held.length === 2)
  assert.deepEqual(rig.balancer.stats().inflight, { [node.name]: 2 })
  for (const finish of held) finish()
  await Promise.all(calls)
  await until('none', () => rig.balancer.stats().inflight[node.name] === 0)
})

test('every other path goes to the healthy nodes in turn', async () => {
  await using rig = await balancerRig(3)
  const answered = new Set<string>()
  for (let i = 0; i < 3; i++) answered.add((await send(`${rig.balancer.url}/v2/fns`)).text)
  assert.equal(answered.size, 3)
})

test('calls of one trigger with different parameters go to its function once a node told which it is', async () => {
  await using rig = await balancerRig(5)
  for (const node of rig.nodes)
    node.answer = (_req, res) => {
      res.setHeader('Fn-Function', '01FN000000000000000000000A /orders')
      res.end(node.name)
    }
  const byId = (await send(rig.balancer.url + call)).text
  const guessed = (await send(`${rig.balancer.url}/t/shop/orders?id=1`)).text
  assert.notEqual(guessed, byId)
  assert.equal((await send(`${rig.balancer.url}/t/shop/orders?id=2`)).text, byId)
})

test('an upgrade is refused, an offer of HTTP/2 is passed over', async () => {
  await using rig = await balancerRig(1)
  const websocket = { Connection: 'Upgrade', Upgrade: 'websocket' }
  assert.equal((await send(rig.balancer.url + call, { headers: websocket })).status, 501)
  const h2c = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAA' }
  assert.equal((await send(rig.balancer.url + call, { headers: h2c })).status, 200)
  assert.equal(rig.nodes[0]?.seen[0]?.headers['http2-settings'], undefined)
})

test('a body beyond the limit is refused, with a length and without', async () => {
  await using rig = await balancerRig(1, { maxRequestSize: 1_000 })
  const body = 'x'.repeat(1_001)
  assert.equal((await send(rig.balancer.url + call, { method: 'POST', body })).status, 413)
  assert.equal((await send(rig.balancer.url + call, { method: 'POST', body, chunked: true })).status, 413)
  assert.equal((await send(rig.balancer.url + call, { method: 'POST', body: 'x'.repeat(1_000) })).status, 200)
})

test('a new node takes part at once, a removed one no more', async () => {
  await using rig = await balancerRig(1)
  await using extra = await fakeNode()
  rig.balancer.nodes.add(extra.name)
  for (const node of rig.nodes) rig.balancer.nodes.remove(node.name)
  assert.equal((await send(rig.balancer.url + call)).text, extra.name)
})
