import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { balancerRig, send, sendRaw, testBalancer } from '../../test/support/balancer-rig.ts'
import { setUpNode } from '../../test/support/node-rig.ts'
import { wayOf } from './door.ts'

const call = '/invoke/01FN000000000000000000000A'
const bearer = { Authorization: 'Bearer hush' }

/** What operators ask a node, spelled in every way that somebody might read as the same. */
const SPELLINGS = [
  ...['/node/load', '/node/starts', '/node/drain', '/node/prewarm', '/metrics'],
  ...[
    '/node',
    '/node/',
    '/node/load/',
    '/metrics/',
    '/metrics?x=1',
    '/node/load?x',
    '/metrics#x',
    '/metrics;x',
  ],
  ...['/%6eode/load', '/%6Eode/load', '/node%2Fload', '/node%2fload', '/m%65trics', '/%6d%65%74rics'],
  ...['/%256eode/load', '/%25256eode/load', '/node%252Fload', '/%2e/metrics', '/%2e%2e/metrics'],
  ...['//node/load', '///metrics', '/./node/load', '/.//./metrics', '/v2/../node/load', '/v2/%2e%2e/metrics'],
  ...['/node//load', '/node/./load', '/NODE/load', '/Metrics', '/Node/Load', '\\node\\load', '/\\metrics'],
  ...[
    '/metrics%00',
    '/metrics%20',
    '/metrics%3Fx',
    '/metrics%23x',
    '/metrics%3bx',
    '/%20metrics',
    '/metri\xe9/../metrics',
  ],
  ...[
    'http://other.example/node/load',
    'HTTP://other.example/metrics',
    'http://h:80//metrics',
    'http://h/./node/load',
  ],
  ...['http:///metrics', 'node/load', 'h:80', '*/metrics'],
  ...['/1/lb', '/1/lb/nodes', '/1/l%62/nodes', '//1//lb/stats', '/1/LB/nodes', '/1/./lb'],
]

const raw = (method: string, target: string, headers = ''): string =>
  `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: t\r\n${headers}Content-Length: 0\r\nConnection: close\r\n\r\n`
const statusOf = (answer: string): number => Number(answer.split(' ', 2)[1])

for (const token of ['hush', undefined])
  test(`a node’s own routes are never reached through the data port, ${token ? 'with' : 'without'} a token`, async (t) => {
    const { node } = await setUpNode(t, createServer())
    await using balancer = await testBalancer({ nodes: [new URL(node.url).host], token })
    const authorization = token ? `Authorization: Bearer ${token}\r\n` : ''
    let routed = 0
    for (const method of ['GET', 'PUT'])
      for (const target of SPELLINGS) {
        const direct = statusOf(await sendRaw(node.url, raw(method, target)))
        if (direct === 200 || direct === 202) routed++
        const through = await sendRaw(balancer.url, raw(method, target, authorization))
        assert.ok(
          [400, 404].includes(statusOf(through)),
          `${method} ${target} is ${statusOf(through)}, at the node ${direct}`,
        )
      }
    // The same spellings are no strangers to the node itself.
    assert.ok(routed >= 12, `the node routed ${routed}`)
  })

test('whatever a node routes as its own is closed', async () => {
  const plain = fc.constantFrom('/node/load', '/node/drain', '/metrics', '/1/lb/nodes')
  const spelled = plain.chain((path) =>
    fc
      .tuple(
        ...[...path.slice(1)].map((char) =>
          fc.constantFrom(char, char, `%${hex(char)}`, `%25${hex(char)}`, char.toUpperCase()),
        ),
      )
      .map((chars) => `/${chars.join('')}`),
  )
  fc.assert(fc.property(spelled, (path) => assert.equal(wayOf(path), 'closed', path)))
})

const hex = (char: string): string => char.charCodeAt(0).toString(16)

test('a balancer with a token asks for it before it forwards anything but calls, version and health', async () => {
  await using rig = await balancerRig(2, { token: 'hush' })
  const seen = () => rig.nodes.reduce((sum, node) => sum + node.seen.length, 0)
  const guarded = [
    '/',
    '/v2',
    '/v2/apps',
    '/v2/fns?x',
    '//v2/apps',
    '/%76ersion',
    '/version/',
    '/versions',
    '/healthz/x',
  ]
  guarded.push(
    '/Version',
    '/t',
    '/invoke',
    '/Invoke/x',
    '//invoke/x',
    '/other',
    '/v2/../version',
    '/version;x',
  )
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
    for (const path of guarded)
      for (const headers of ['', 'Authorization: Bearer no\r\n', 'Authorization: hush\r\n']) {
        const answer = await sendRaw(rig.balancer.url, raw(method, path, headers))
        assert.equal(statusOf(answer), 401, `${method} ${path} ${headers}`)
        assert.match(answer, /\r\nWWW-Authenticate: Bearer\r\n/)
      }
  assert.equal(seen(), 0)
  for (const path of [call, '/t/app/x', '/version', '/healthz?x', 'http://h/version'])
    assert.equal(statusOf(await sendRaw(rig.balancer.url, raw('POST', path))), 200, path)
  assert.equal((await send(`${rig.balancer.url}/v2/apps`, { headers: bearer })).status, 200)
  assert.equal(seen(), 6)
})

test('a node learns the token from who knows it, a function only what its caller sent', async () => {
  await using rig = await balancerRig(1, { token: 'hush' })
  await send(`${rig.balancer.url}/v2/apps`, { headers: bearer })
  await send(rig.balancer.url + call, { headers: { Authorization: 'Basic mine' } })
  await send(`${rig.balancer.url}/t/app/x`, { headers: { Authorization: 'Basic mine' } })
  await send(rig.balancer.url + call)
  assert.deepEqual(
    rig.nodes[0]?.seen.map(({ headers }) => headers.authorization),
    ['Bearer hush', 'Basic mine', 'Basic mine', undefined],
  )
})

test('a browser that asks ahead is heard without a token', async () => {
  await using rig = await balancerRig(1, { token: 'hush' })
  const asks = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'PUT' }
  const ask = (path: string, method: string) => send(rig.balancer.url + path, { method, headers: asks })
  assert.equal((await ask('/v2/apps', 'OPTIONS')).status, 200)
  assert.equal((await ask('/v2/apps', 'PUT')).status, 401)
  assert.equal((await ask('/node/drain', 'OPTIONS')).status, 404)
})
