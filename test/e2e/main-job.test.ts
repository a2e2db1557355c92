import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isId } from '../../src/core/ids.ts'
import { type Role, sluice, startRole } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))
const START = ['start', '--driver', 'process', '--port', '0', '--admin-port', '0', '--local-nodes', '2']

const start = (dir: string, env: Record<string, string> = {}) =>
  startRole([...START, '--data-dir', join(dir, 'state')], { env })

/** Deploys a folder and says where to call it. */
async function deploy(
  server: Role,
  folder: string,
  env: Record<string, string> = {},
  flags: readonly string[] = [],
): Promise<{ url: string; triggers: { url: string }[] }> {
  const args = ['deploy', '--app', 'myapp', '--json', ...flags, folder]
  const { code, stdout, stderr } = await sluice(args, { env: { FN_API_URL: server.ready.url, ...env } })
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

test('an unmodified FDK function and a TypeScript one answer through the balancer, and survive a restart', async () => {
  await using temp = await tempDir()
  const urls: string[] = []
  {
    await using server = await start(temp.path)
    for (const example of ['hello-fdk', 'hello-ts']) {
      const { url, triggers } = await deploy(server, join(EXAMPLES, example))
      const reply = await fetch(url, { method: 'POST', body: '{"name":"Ada"}' })
      const text = await reply.text()
      assert.equal(reply.status, 200, text)
      assert.match(text, /Ada/)
      assert.ok(isId(reply.headers.get('fn-call-id') ?? ''))
      assert.match(
        reply.headers.get('server-timing') ?? '',
        /queue;dur=.*start;dur=.*fetch;dur=.*run;dur=.*lb;dur=/,
      )
      for (const secret of ['fxlb-wait', 'xxx-fxlb-wait', 'fn-wait', 'fn-load', 'fn-function', 'fn-origin']) {
        assert.equal(reply.headers.get(secret), null, secret)
      }
      const triggered = await fetch(triggers[0]?.url as string, { method: 'POST', body: '{"name":"Bob"}' })
      assert.match(await triggered.text(), /Bob/)
      urls.push(new URL(url).pathname)
    }
  }
  await using server = await start(temp.path)
  for (const path of urls) {
    const reply = await fetch(server.ready.url + path, { method: 'POST', body: '{"name":"Eve"}' })
    assert.match(await reply.text(), /Eve/)
  }
  const { stdout } = await sluice(['list', 'functions'], { env: { FN_API_URL: server.ready.url } })
  assert.match(stdout, /hello-fdk[\s\S]*hello-ts/)
})

test('a newcomer makes, deploys and invokes a function', async () => {
  await using temp = await tempDir()
  await using server = await start(temp.path)
  const env = { FN_API_URL: server.ready.url }
  const options = { cwd: temp.path, env }
  assert.equal((await sluice(['init', 'hello'], options)).code, 0)
  const deployed = await sluice(['deploy', '--app', 'myapp', 'hello'], options)
  assert.equal(deployed.code, 0, deployed.stderr)
  assert.match(deployed.stdout, /curl .*\/invoke\//)
  const invoked = await sluice(['invoke', 'myapp', 'hello'], { ...options, input: '{"name":"Ada"}' })
  assert.equal(invoked.code, 0, invoked.stderr)
  assert.match(invoked.stdout, /Ada/)
})

test('a function that crashes at start tells why, and runs once it is mended', async () => {
  await using temp = await tempDir()
  await using server = await start(temp.path)
  const dir = join(temp.path, 'crash')
  await sluice(['init', 'crash'], { cwd: temp.path })
  const good = await readFile(join(dir, 'func.ts'), 'utf8')
  await writeFile(join(dir, 'func.ts'), `console.error('no database here'); process.exit(7)\n${good}`)
  const { url } = await deploy(server, dir, {}, ['--no-check'])
  const reply = await fetch(url, { method: 'POST' })
  assert.equal(reply.status, 502)
  const { message, detail } = (await reply.json()) as { message: string; detail: string }
  assert.equal(
    message,
    'Container failed to initialize, please ensure you are using the latest fdk and check the logs',
  )
  assert.match(detail, /7/)
  assert.match(detail, /no database here/)
  const id = reply.headers.get('fn-call-id') as string
  await until('the log', () =>
    server
      .log()
      .split('\n')
      .some((line) => line.includes(id) && line.includes('no database here')),
  )
  await writeFile(join(dir, 'func.ts'), good)
  await deploy(server, dir)
  await until(
    'the new code',
    async () => (await fetch(url, { method: 'POST', body: '{"name":"Ada"}' })).status === 200,
  )
})

test('row 65: a stop lets a running call finish', async () => {
  await using temp = await tempDir()
  const server = await start(temp.path)
  const { url } = await deploy(server, join(EXAMPLES, 'work'))
  await (await fetch(url, { method: 'POST', body: '{"ms":1}' })).text()
  const running = fetch(url, { method: 'POST', body: '{"ms":1500}' }).then((reply) => reply.json())
  await until('the call to run', async () => {
    const nodes = server.ready['nodes'] as string[]
    const loads = await Promise.all(nodes.map(async (node) => (await fetch(`${node}/node/load`)).json()))
    return loads.some((load) => (load as { run: number }).run > 0)
  })
  const [answer, code] = await Promise.all([running, server.end('SIGTERM')])
  assert.equal((answer as { ms: number }).ms, 1500)
  assert.equal(code, 0)
})

test('a port or a data folder in use is one clear line', async () => {
  await using temp = await tempDir()
  await using server = await start(temp.path)
  const port = new URL(server.ready.url).port
  const args = ['start', '--driver', 'process', '--port', port, '--admin-port', '0']
  const busyPort = await sluice([...args, '--data-dir', join(temp.path, 'other')])
  assert.notEqual(busyPort.code, 0)
  assert.match(
    busyPort.stderr,
    new RegExp(`^sluice: 127\\.0\\.0\\.1:${port} is already in use: choose another with --port\n$`),
  )
  const busyDir = await sluice([...START, '--data-dir', join(temp.path, 'state')])
  assert.notEqual(busyDir.code, 0)
  assert.match(busyDir.stderr, /^sluice: data folder .* is in use by another process\n$/)
})

test('beyond loopback a token is required, and every management route asks for it', async () => {
  await using temp = await tempDir()
  const refused = await sluice([...START, '--host', '0.0.0.0', '--data-dir', join(temp.path, 'state')])
  assert.notEqual(refused.code, 0)
  assert.match(refused.stderr, /needs a token/)

  const token = 'only-for-this-test'
  await using server = await startRole([...START, '--data-dir', join(temp.path, 'state')], {
    env: { FN_TOKEN: token },
  })
  const [node] = server.ready['nodes'] as [string]
  const closed: [string, string][] = []
  for (const kind of ['apps', 'fns', 'triggers']) {
    closed.push(['GET', `${server.ready.url}/v2/${kind}`], ['POST', `${server.ready.url}/v2/${kind}`])
    for (const verb of ['GET', 'PUT', 'DELETE']) closed.push([verb, `${server.ready.url}/v2/${kind}/X`])
  }
  for (const verb of ['GET', 'PUT', 'HEAD'])
    closed.push([verb, `${server.ready.url}/v2/bundles/${'0'.repeat(64)}`])
  for (const verb of ['GET', 'PUT', 'DELETE']) closed.push([verb, `${server.ready.adminUrl}/1/lb/nodes`])
  closed.push(
    ['GET', `${server.ready.adminUrl}/1/lb/stats`],
    ['GET', `${node}/node/load`],
    ['GET', `${node}/v2/apps`],
  )
  for (const [method, url] of closed) {
    const reply = await fetch(url, { method })
    await reply.arrayBuffer()
    assert.equal(reply.status, 401, `${method} ${url}`)
  }
  const { url } = await deploy(server, join(EXAMPLES, 'hello-ts'), { FN_TOKEN: token })
  assert.equal((await fetch(url, { method: 'POST', body: '{"name":"Ada"}' })).status, 200)
  assert.ok(!server.log().includes(token))
})
