import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { startSluice } from '../../src/compose.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import { readEnvironment } from '../../src/host/config.ts'
import { tempDir } from '../support/temp.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }
const APP = JSON.stringify({ name: 'pwned' })
const MANAGEMENT = [
  ['GET', '/v2/apps', ''],
  ['POST', '/v2/apps', APP],
  ['GET', '/%762/apps', ''],
  ['PUT', '/node/drain', '{"draining":true}'],
  ['GET', '/node/load', ''],
  ['GET', '/metrics', ''],
] as const
const ADMIN = [
  ['GET', '/1/lb/stats', ''],
  ['PUT', '/1/lb/nodes', '{"node":"127.0.0.1:9"}'],
] as const

/** Bytes as a browser sends them whose page's name points here; the status and the text that come back. */
async function raw(
  url: string,
  [method, path, body]: readonly [string, string, string],
  host: string,
  origin?: string,
): Promise<[number, string]> {
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    ...(origin === undefined ? [] : [`Origin: ${origin}`]),
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`)
  let text = ''
  for await (const chunk of socket) text += chunk
  return [Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text]
}

/** `sluice start` on loopback, as somebody has it on a laptop. */
async function laptop(environment: Record<string, string>) {
  const dir = await tempDir()
  const sluice = await startSluice(
    {
      listen: LOOPBACK,
      admin: LOOPBACK,
      dataDir: dir.path,
      driver: 'mock',
      strategy: 'fnlb',
      localNodes: 1,
    },
    {
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      environment: readEnvironment(environment),
    },
  )
  const node = sluice.nodes[0]?.url as string
  return {
    data: sluice.balancer.url,
    admin: sluice.balancer.adminUrl,
    node,
    [Symbol.asyncDispose]: async () => {
      await sluice[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

test('a page whose name points here reads and changes nothing, through the balancer or past it', async () => {
  await using it = await laptop({})
  for (const origin of [undefined, 'http://evil.example:8080'])
    for (const host of ['evil.example', 'evil.example:8080', '127.0.0.1.evil.example']) {
      for (const request of MANAGEMENT) {
        const [status, text] = await raw(it.node, request, host, origin)
        assert.equal(status, 403, `${request} of a node as ${host}`)
        assert.match(text, /FN_ALLOWED_HOSTS/)
        assert.notEqual((await raw(it.data, request, host, origin))[0], 200, `${request} as ${host}`)
      }
      for (const request of ADMIN)
        assert.equal((await raw(it.admin, request, host, origin))[0], 403, `${request} as ${host}`)
    }
  const [, apps] = await raw(it.data, MANAGEMENT[0], 'localhost')
  assert.doesNotMatch(apps, /pwned/)
  assert.match((await raw(it.node, MANAGEMENT[4], 'localhost'))[1], /"draining":false/)
})

test('a page of another origin that knows the address changes nothing of a node either', async () => {
  await using it = await laptop({})
  const foreign = 'http://evil.example'
  for (const request of [MANAGEMENT[1], MANAGEMENT[3]])
    assert.equal((await raw(it.node, request, new URL(it.node).host, foreign))[0], 403, String(request))
})

test('the owner is answered by every loopback name, and by the hosts that are named', async () => {
  await using it = await laptop({
    FN_ALLOWED_HOSTS: 'laptop.example:8080',
    FN_PUBLIC_LB_URL: 'https://faas.example.com/',
  })
  for (const host of ['localhost', '127.0.0.1:8080', '[::1]:80', 'laptop.example', 'FaaS.example.com:443']) {
    for (const url of [it.data, it.node]) assert.equal((await raw(url, MANAGEMENT[0], host))[0], 200, host)
    assert.equal((await raw(it.admin, ADMIN[0], host))[0], 200, host)
  }
})

test('calls, the version and the health are anybody’s', async () => {
  await using it = await laptop({})
  for (const url of [it.data, it.node])
    for (const [path, status] of [
      ['/version', 200],
      ['/healthz', 200],
      ['/invoke/none', 404],
    ] as const) {
      const method = path.startsWith('/invoke') ? 'POST' : 'GET'
      assert.equal((await raw(url, [method, path, ''], 'any.example'))[0], status, path)
    }
})
