import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { balancerRig, send, testBalancer } from '../../test/support/balancer-rig.ts'
import { type FakeNode, fakeNode } from '../../test/support/fake-node.ts'
import { until } from '../../test/support/until.ts'
import { virtualClock } from '../core/clock.ts'

const call = '/invoke/01FN000000000000000000000A'
const load = { run: 0, queue: 0, cap: 4, draining: false, boot: 'b1', seq: 1, idle: {} }

/** Lets time pass, a good second at a time, until something holds. */
const passing = (clock: ReturnType<typeof virtualClock>, what: string, holds: () => boolean) =>
  until(what, () => {
    if (holds()) return true
    clock.advance(1_100)
    return false
  })

async function rigOf(count: number, options: Parameters<typeof balancerRig>[1] = {}) {
  const clock = virtualClock(1_000_000)
  const rig = await balancerRig(count, { clock, healthTimeout: 1e9, ...options })
  const first = rig.nodes[0]
  assert.ok(first)
  const status = (node: FakeNode) => rig.balancer.nodes.list()[node.name]
  return { ...rig, clock, first, status }
}

test('row 80: a node that stopped is offline after two failed checks and gets no traffic', async () => {
  await using rig = await rigOf(2)
  rig.first.health = 500
  await passing(rig.clock, 'offline', () => rig.status(rig.first) === 'offline')
  assert.ok(rig.first.checks.filter(({ url }) => url === '/version').length >= 2)
  for (let i = 0; i < 4; i++) await send(`${rig.balancer.url}/v2/apps`)
  assert.equal(rig.first.seen.length, 0)
})

test('row 81: one good check brings a node back', async () => {
  await using rig = await rigOf(1)
  rig.first.health = 503
  await passing(rig.clock, 'offline', () => rig.status(rig.first) === 'offline')
  assert.equal((await send(rig.balancer.url + call)).status, 503)
  rig.first.health = 200
  await passing(rig.clock, 'online', () => rig.status(rig.first) === 'online')
  assert.equal((await send(rig.balancer.url + call)).status, 200)
})

test('row 81: a node that was killed and started again comes back', async () => {
  await using rig = await rigOf(1)
  await rig.first.kill()
  await passing(rig.clock, 'offline', () => rig.status(rig.first) === 'offline')
  await using _again = await fakeNode(rig.first.port)
  await passing(rig.clock, 'online', () => rig.status(rig.first) === 'online')
})

test('row 82: path, threshold and interval of the checks are honoured', async () => {
  await using rig = await rigOf(1, { healthPath: '/ready', healthThreshold: 4, healthInterval: 60_000 })
  await until('first sweep', () => rig.first.checks.length === 2)
  assert.deepEqual(
    rig.first.checks.map(({ url }) => url),
    ['/node/load', '/ready'],
  )
  rig.first.health = 500
  rig.clock.advance(50_000)
  const since = rig.clock.now()
  await passing(rig.clock, 'offline', () => rig.status(rig.first) === 'offline')
  assert.ok(rig.clock.now() - since >= 3 * 54_000)
  assert.ok(rig.first.checks.filter(({ url }) => url === '/ready').length >= 5)
})

test('row 82: a check that takes longer than its timeout has failed', async () => {
  const clock = virtualClock(1_000_000)
  await using node = await fakeNode()
  await using balancer = await testBalancer({ clock, healthTimeout: 500, healthThreshold: 1, nodes: [] })
  await node.kill()
  await using silent = await silentServer(node.port)
  balancer.nodes.add(node.name)
  await until('the check has arrived', () => silent.connections() > 0)
  clock.advance(400)
  assert.equal(balancer.nodes.list()[node.name], 'online')
  clock.advance(200)
  await until('offline', () => balancer.nodes.list()[node.name] === 'offline')
})

test('the first sweep is made at once and carries the token', async () => {
  await using rig = await rigOf(2, { token: 'hush' })
  await until('checks', () => rig.nodes.every((node) => node.checks.length > 0))
  for (const node of rig.nodes) assert.equal(node.checks[0]?.headers.authorization, 'Bearer hush')
})

test('a node that knows /node/load is asked nothing else', async () => {
  await using rig = await rigOf(1)
  await until('first sweep', () => rig.first.checks.length === 2)
  rig.first.load = load
  await passing(rig.clock, 'more checks', () => rig.first.checks.length >= 5)
  assert.deepEqual([...new Set(rig.first.checks.slice(2).map(({ url }) => url))], ['/node/load'])
})

test('a node that says it drains is online but gets nothing, until it says otherwise', async () => {
  await using rig = await rigOf(1)
  rig.first.load = { ...load, draining: true }
  const status = async () => (await send(rig.balancer.url + call)).status
  await until('no traffic', async () => {
    rig.clock.advance(1_100)
    return (await status()) === 503
  })
  assert.equal(rig.status(rig.first), 'online')
  rig.first.load = { ...load, seq: 2 }
  await until('traffic again', async () => {
    rig.clock.advance(1_100)
    return (await status()) === 200
  })
})

test('the checks of one node never overlap', async () => {
  const clock = virtualClock(1_000_000)
  await using silent = await silentServer(0)
  await using _balancer = await testBalancer({
    clock,
    healthTimeout: 1e9,
    nodes: [`127.0.0.1:${silent.port}`],
  })
  await until('the check has arrived', () => silent.connections() === 1)
  for (let i = 0; i < 20; i++) {
    clock.advance(3_500)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(silent.connections(), 1)
})

test('row 78: a node removed while it is dead is forgotten and does not come back', async () => {
  await using rig = await rigOf(2)
  await rig.first.kill()
  await passing(rig.clock, 'offline', () => rig.status(rig.first) === 'offline')
  rig.balancer.nodes.remove(rig.first.name)
  await using again = await fakeNode(rig.first.port)
  rig.clock.advance(10_000)
  assert.deepEqual(Object.keys(rig.balancer.nodes.list()), [rig.nodes[1]?.name])
  for (let i = 0; i < 4; i++) await send(`${rig.balancer.url}/v2/apps`)
  assert.deepEqual([again.seen.length, again.checks.length], [0, 0])
})

/** Accepts connections and says nothing. */
async function silentServer(port: number) {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer((socket) => {
    count++
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    connections: () => count,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
