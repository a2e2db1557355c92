import assert from 'node:assert/strict'
import { Agent, createServer, request } from 'node:http'
import { test } from 'node:test'
import { balancerRig, send, testBalancer } from '../../test/support/balancer-rig.ts'
import { virtualClock } from '../core/clock.ts'
import { listen } from '../host/listen.ts'

const call = '/invoke/01FN000000000000000000000A'
const json = async (url: string, sent?: Parameters<typeof send>[1]) => {
  const got = await send(url, sent)
  return { status: got.status, body: JSON.parse(got.text) }
}

test('row 78: nodes are added, listed and deleted; a second PUT keeps one', async () => {
  await using balancer = await testBalancer({})
  const url = `${balancer.adminUrl}/1/lb/nodes`
  assert.deepEqual(await json(url), { status: 200, body: { nodes: {} } })
  const body = '{"node":"127.0.0.1:9"}'
  for (let i = 0; i < 2; i++)
    assert.deepEqual((await json(url, { method: 'PUT', body })).body, { msg: 'node added' })
  assert.deepEqual((await json(url)).body, { nodes: { '127.0.0.1:9': 'online' } })
  for (let i = 0; i < 2; i++)
    assert.deepEqual((await json(url, { method: 'DELETE', body })).body, { msg: 'node deleted' })
  assert.deepEqual((await json(url)).body, { nodes: {} })
})

for (const body of [
  '{',
  '',
  '[]',
  '{"node":7}',
  '{"node":"nowhere"}',
  '{"node":"a:0"}',
  '{"node":"a:70000"}',
  '{"node":"http://a:1"}',
])
  test(`row 79: 400 and a msg for ${JSON.stringify(body)}, and nothing changes`, async () => {
    await using balancer = await testBalancer({})
    const headers = { 'Content-Type': 'application/json' }
    const got = await json(`${balancer.adminUrl}/1/lb/nodes`, { method: 'PUT', body, headers })
    assert.equal(got.status, 400)
    assert.equal(typeof got.body.msg, 'string')
    assert.deepEqual(balancer.nodes.list(), {})
  })

test('row 83: after 10 calls the stats sum up to 10, with node, function and wait in seconds', async () => {
  const clock = virtualClock(1_700_000_000_000)
  await using rig = await balancerRig(2, { clock })
  for (const node of rig.nodes)
    node.answer = (_req, res) => {
      res.setHeader('FXLB-WAIT', '250ms')
      res.end()
    }
  for (let i = 0; i < 10; i++) await send(rig.balancer.url + call)
  clock.advance(1_000)
  const url = `${rig.balancer.adminUrl}/1/lb/stats`
  const { body } = await json(url)
  const rows = body.stats as { tp: number; node: string; func: string; wait: number; timestamp: string }[]
  assert.equal(
    rows.reduce((sum, { tp }) => sum + tp, 0),
    10,
  )
  for (const row of rows) {
    assert.ok(rig.nodes.some(({ name }) => name === row.node))
    assert.deepEqual(
      [row.func, row.wait, row.timestamp],
      ['01FN000000000000000000000A', 0.25, '2023-11-14T22:13:20.000Z'],
    )
  }
  assert.deepEqual((await json(url)).body.stats, rows, 'reading takes nothing away')
  assert.deepEqual((await json(`${url}?since=${body.cursor}`)).body.stats, [])
  assert.deepEqual(Object.keys(body.inflight).sort(), rig.nodes.map(({ name }) => name).sort())
})

const routes = [
  ['GET', '/1/lb/nodes'],
  ['PUT', '/1/lb/nodes'],
  ['DELETE', '/1/lb/nodes'],
  ['GET', '/1/lb/stats'],
  ['GET', '/1/l%62/nodes'],
] as const
for (const [method, path] of routes)
  test(`${method} ${path} without the token is 401`, async () => {
    await using balancer = await testBalancer({ token: 'hush' })
    const body = method === 'GET' ? {} : { body: '{"node":"127.0.0.1:9"}' }
    const url = balancer.adminUrl + path
    assert.equal((await send(url, { method, ...body })).status, 401)
    assert.equal((await send(url, { method, ...body, headers: { Authorization: 'Bearer no' } })).status, 401)
    assert.deepEqual(balancer.nodes.list(), {})
    assert.equal(
      (await send(url, { method, ...body, headers: { Authorization: 'Bearer hush' } })).status,
      200,
    )
  })

test('version and health are open', async () => {
  await using balancer = await testBalancer({ token: 'hush' })
  assert.deepEqual(await json(`${balancer.adminUrl}/version`), { status: 200, body: { version: '1.2.3' } })
  assert.equal((await send(`${balancer.adminUrl}/healthz`)).status, 200)
  assert.equal((await send(`${balancer.adminUrl}/other`)).status, 404)
})

test('the data port knows nothing of /1/lb and does not pass it on', async () => {
  await using rig = await balancerRig(1, { token: 'hush' })
  for (const path of ['/1/lb', '/1/lb/nodes', '/1/lb/stats?since=x', '/1/lb?x'])
    assert.equal(
      (await send(rig.balancer.url + path, { headers: { Authorization: 'Bearer hush' } })).status,
      404,
      path,
    )
  assert.equal(rig.nodes[0]?.seen.length, 0)
})

test('row 85: closing lets a request under way finish and takes no new one', async () => {
  const rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  const running = Promise.withResolvers<() => void>()
  node.answer = (_req, res) => {
    res.write('first ')
    running.resolve(() => res.end('last'))
  }
  const answer = send(rig.balancer.url + call)
  const finish = await running.promise
  const closed = rig.balancer[Symbol.asyncDispose]()
  await assert.rejects(send(rig.balancer.url + call), { code: 'ECONNREFUSED' })
  finish()
  assert.equal((await answer).text, 'first last')
  await closed
  await rig[Symbol.asyncDispose]()
})

test('row 85: a connection that is kept ends with the answer it carries', async () => {
  const rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  const running = Promise.withResolvers<() => void>()
  node.answer = (_req, res) => {
    res.write('first ')
    running.resolve(() => res.end('last'))
  }
  const agent = new Agent({ keepAlive: true })
  const whole = new Promise<void>((resolve) => {
    request(rig.balancer.url + call, { agent, headers: { 'User-Agent': 'test' } }, (res) => {
      res.resume()
      res.on('end', resolve)
    }).end()
  })
  const finish = await running.promise
  const closed = rig.balancer[Symbol.asyncDispose]()
  finish()
  await Promise.all([whole, closed])
  await assert.rejects(send(`${rig.balancer.adminUrl}/healthz`), { code: 'ECONNREFUSED' })
  agent.destroy()
  await rig[Symbol.asyncDispose]()
})

test('row 85: closing ends at once when the connections are idle', async () => {
  const rig = await balancerRig(1)
  const agent = new Agent({ keepAlive: true })
  await new Promise<void>((resolve) => {
    request(rig.balancer.url + call, { agent, headers: { 'User-Agent': 'test' } }, (res) => {
      res.resume()
      res.on('end', resolve)
    }).end()
  })
  await rig[Symbol.asyncDispose]()
  agent.destroy()
})

test('what has not ended within the grace is cut', async () => {
  const clock = virtualClock(1_000)
  const rig = await balancerRig(1, { clock, grace: 5_000 })
  const [node] = rig.nodes
  assert.ok(node)
  const stuck = Promise.withResolvers<void>()
  node.answer = () => stuck.resolve()
  const answer = assert.rejects(send(rig.balancer.url + call), { code: 'ECONNRESET' })
  await stuck.promise
  let cut = false
  const closed = rig.balancer[Symbol.asyncDispose]().then(() => {
    cut = true
  })
  clock.advance(4_000)
  assert.equal(cut, false)
  clock.advance(1_000)
  await Promise.all([closed, answer])
  await rig[Symbol.asyncDispose]()
})

for (const port of ['listen', 'admin'] as const)
  test(`a busy ${port} port is one clear error, and nothing stays open`, async () => {
    const taken = createServer()
    const address = await listen(taken, { host: '127.0.0.1', port: 0 })
    await assert.rejects(testBalancer({ [port]: address }), {
      code: 'address',
      message: `127.0.0.1:${address.port} is already in use`,
    })
    await new Promise((resolve) => taken.close(resolve))
  })

test('empty and repeated nodes are ignored, a wrong one is refused', async () => {
  await using balancer = await testBalancer({ nodes: ['127.0.0.1:9', '', ' 127.0.0.1:9 ', 'LOCALHOST:9'] })
  assert.deepEqual(Object.keys(balancer.nodes.list()), ['127.0.0.1:9', 'localhost:9'])
  await assert.rejects(testBalancer({ nodes: ['nowhere'] }), { code: 'invalid', detail: /"nowhere"/ })
  await assert.rejects(testBalancer({ strategy: 'best' }), { code: 'invalid', detail: /fnlb, round-robin/ })
})
