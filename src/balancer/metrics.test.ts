import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerRig, send, testBalancer } from '../../test/support/balancer-rig.ts'
import { until } from '../../test/support/until.ts'

const call = '/invoke/01FN000000000000000000000A'
const bearer = { Authorization: 'Bearer hush' }

/** The samples of a balancer, by name and labels. */
async function samplesOf(adminUrl: string): Promise<Map<string, number>> {
  const { status, headers, text } = await send(`${adminUrl}/metrics`, { headers: bearer })
  assert.equal(status, 200)
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/)
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

test('a balancer tells of its nodes and its calls on the admin port, to who has the token', async () => {
  await using rig = await balancerRig(2, { token: 'hush', strategy: 'round-robin' })
  const { adminUrl, url } = rig.balancer
  for (const headers of [{}, { Authorization: 'Bearer no' }])
    assert.equal((await send(`${adminUrl}/metrics`, { headers })).status, 401)
  await until('both are checked', () => rig.nodes.every(({ checks }) => checks.length >= 2))

  const [first, second] = rig.nodes
  assert.ok(first && second)
  for (let i = 0; i < 4; i++) await send(url + call)
  const held = Promise.withResolvers<() => void>()
  for (const node of rig.nodes) node.answer = (_req, res) => held.resolve(() => res.end())
  const running = send(url + call)
  const finish = await held.promise
  const during = await samplesOf(adminUrl)
  const inflight = rig.nodes.map(({ name }) => during.get(`sluice_lb_node_inflight{node="${name}"}`))
  assert.deepEqual(inflight.sort(), [0, 1])
  finish()
  await running
  for (const node of rig.nodes)
    node.answer = (_req, res) => res.writeHead(503, { 'Fn-Reject': 'draining' }).end()
  await send(url + call)
  await send(url + call)

  const samples = await samplesOf(adminUrl)
  const of = (name: string) =>
    rig.nodes.map((node) => samples.get(`sluice_lb_node_${name}{node="${node.name}"}`))
  assert.deepEqual(of('up'), [1, 1])
  assert.deepEqual(of('draining'), [1, 1])
  assert.deepEqual(of('inflight'), [0, 0])
  assert.deepEqual(of('failures_total'), [0, 0])
  assert.equal(
    of('requests_total').reduce<number>((sum, count) => sum + (count ?? 0), 0),
    7,
  )
  const calls = (outcome: string) => samples.get(`sluice_lb_calls_total{outcome="${outcome}"}`)
  assert.deepEqual(['ok', 'refused', 'unplaced', 'lost'].map(calls), [5, 1, 1, 0])
  assert.equal(samples.get('sluice_lb_functions'), 1)
})

test('every way that a call can end is counted once', async () => {
  await using rig = await balancerRig(1, { token: 'hush' })
  const [node] = rig.nodes
  assert.ok(node)
  const { url, adminUrl } = rig.balancer
  node.answer = (_req, res) => res.writeHead(502, { 'Fn-Origin': 'function' }).end()
  await send(url + call)
  node.answer = (_req, res) => res.writeHead(500).end()
  await send(url + call)
  node.answer = (req) => req.socket.destroy()
  await send(url + call)
  const arrived = Promise.withResolvers<void>()
  node.answer = () => arrived.resolve()
  const abort = new AbortController()
  const gone = assert.rejects(send(url + call, { signal: abort.signal }))
  await arrived.promise
  abort.abort()
  await gone
  const outcomes = async () => {
    const samples = await samplesOf(adminUrl)
    return ['ok', 'function', 'platform', 'lost', 'client'].map((outcome) =>
      samples.get(`sluice_lb_calls_total{outcome="${outcome}"}`),
    )
  }
  await until('the client is missed', async () => (await outcomes()).at(-1) === 1)
  assert.deepEqual(await outcomes(), [0, 1, 1, 1, 1])
})

test('a node that was removed is told of no more, and the data port tells nothing', async () => {
  await using balancer = await testBalancer({ nodes: ['127.0.0.1:9', '127.0.0.1:10'], token: 'hush' })
  balancer.nodes.remove('127.0.0.1:9')
  const names = [...(await samplesOf(balancer.adminUrl)).keys()].filter((name) => name.includes('_up{'))
  assert.deepEqual(names, ['sluice_lb_node_up{node="127.0.0.1:10"}'])
  assert.equal((await send(`${balancer.url}/metrics`, { headers: bearer })).status, 404)
})
