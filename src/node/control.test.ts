import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FN, hello, http, INVOKE, send, setUpNode } from '../../test/support/node-rig.ts'
import { until } from '../../test/support/until.ts'

interface Digest {
  readonly kind: 'full' | 'delta'
  readonly boot: string
  readonly seq: number
  readonly idle: Record<string, number>
  readonly [field: string]: unknown
}

const ask = async (url: string, method = 'GET', body?: unknown) => {
  const headers = { 'content-type': 'application/json' }
  const seen = await send(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
  return { status: seen.status, body: JSON.parse(seen.body) }
}

const digestOf = async (url: string): Promise<Digest> => (await ask(url)).body

test('everything below /node and the metrics need the token, however the path is written', async (t) => {
  const { node } = await setUpNode(t, hello(), { node: { token: 'secret' } })
  await send(node.url + INVOKE)
  const paths = [
    '/node/load',
    '/%6eode/load',
    '/node/%6coad',
    '//node/load',
    '/node/starts',
    '/metrics',
    '/%6detrics',
  ]
  for (const path of paths) {
    const { status } = await send(node.url + path, { method: 'GET' })
    assert.ok(status === 401 || status === 404, `${path} answered ${status}`)
  }
  for (const path of ['/node/drain', '/node/prewarm'])
    assert.equal((await send(node.url + path, { method: 'PUT' })).status, 401)
  const headers = { Authorization: 'Bearer secret' }
  const seen = await send(`${node.url}/node/load`, { method: 'GET', headers })
  const digest = JSON.parse(seen.body) as Digest
  const { run, queue, draining, idle, calls, starts } = digest
  assert.deepEqual([run, queue, draining, idle, calls, starts], [0, 0, false, { [FN]: 1 }, 1, 1])
})

test('a digest since an earlier one tells only what changed, also what is gone', async (t) => {
  const { node } = await setUpNode(t, hello(), { fn: { idle_timeout: 1 } })
  await send(node.url + INVOKE)
  const first = await digestOf(`${node.url}/node/load`)
  assert.deepEqual([first.kind, first.idle], ['full', { [FN]: 1 }])
  const since = ({ boot, seq }: Digest) => `${node.url}/node/load?boot=${boot}&since=${seq}`
  const second = await digestOf(since(first))
  assert.deepEqual([second.kind, second.idle], ['delta', {}])
  const gone = await until('the idle container to go', async () => {
    const digest = await digestOf(since(first))
    return digest.idle[FN] === 0 ? digest : undefined
  })
  assert.equal(gone.kind, 'delta')
  assert.deepEqual((await digestOf(`${node.url}/node/load`)).idle, {})
  const stranger = await digestOf(`${node.url}/node/load?boot=another&since=${first.seq}`)
  assert.equal(stranger.kind, 'full')
  for (const nonsense of [
    'since=x',
    'since=-1',
    'since=',
    `boot=${first.boot}`,
    `boot=${first.boot}&since=999999`,
  ])
    assert.equal((await digestOf(`${node.url}/node/load?${nonsense}`)).kind, 'full', nonsense)
})

test('a node that drains refuses new calls retryably, finishes the running one, and can be called back', async (t) => {
  const finish: (() => void)[] = []
  const slow = http((_req, res) => void finish.push(() => res.end('done')))
  const { node } = await setUpNode(t, slow)
  const running = send(node.url + INVOKE)
  await until('the call to run', async () => (await digestOf(`${node.url}/node/load`))['run'] === 1)
  const drained = await ask(`${node.url}/node/drain`, 'PUT', {})
  assert.deepEqual(drained, { status: 200, body: { draining: true, running: 1, waiting: 0 } })
  const refused = await send(node.url + INVOKE)
  assert.deepEqual([refused.status, refused.headers['fn-reject']], [503, 'draining'])
  assert.equal((await digestOf(`${node.url}/node/load`))['draining'], true)
  assert.equal((await ask(`${node.url}/healthz`)).body.status, 'draining')
  const end = await until('the function to have it', () => finish.pop())
  end()
  assert.equal((await running).body, 'done')
  await ask(`${node.url}/node/drain`, 'PUT', { draining: false })
  const again = send(node.url + INVOKE)
  const endAgain = await until('the function to have the next', () => finish.pop())
  endAgain()
  assert.equal((await again).status, 200)
  assert.equal((await ask(`${node.url}/node/drain`, 'PUT', { draining: 'maybe' })).status, 400)
})

test('containers are started ahead on request, and the starts are told with their reason and phases', async (t) => {
  const { node, driver } = await setUpNode(t, hello())
  const ordered = await ask(`${node.url}/node/prewarm`, 'PUT', { fn: FN, count: 3 })
  assert.equal(ordered.status, 202)
  await until('three idle containers', async () => (await digestOf(`${node.url}/node/load`)).idle[FN] === 3)
  assert.equal(driver.started, 3)
  await send(node.url + INVOKE)
  const { items } = (await ask(`${node.url}/node/starts?fn=${FN}`)).body
  assert.deepEqual(
    items.map(({ reason }: { reason: string }) => reason),
    ['prewarm', 'prewarm', 'prewarm'],
  )
  const [start] = items
  assert.deepEqual([start.fn, start.fn_name, start.app_name], [FN, 'cart', 'shop'])
  assert.ok(start.fetch >= 0 && start.create >= 0 && start.ready >= 0)
  assert.ok(Math.abs(start.fetch + start.create + start.ready - start.total) < 1)
  for (const bad of [{}, { fn: 1 }, { fn: FN, count: 0 }, { fn: FN, count: 1.5 }, { fn: FN, count: 1e9 }])
    assert.equal((await ask(`${node.url}/node/prewarm`, 'PUT', bad)).status, 400, JSON.stringify(bad))
  assert.equal((await ask(`${node.url}/node/prewarm`, 'PUT', { fn: 'unknown' })).status, 404)
})
