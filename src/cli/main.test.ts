import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startFnServer } from '../../test/support/fn-server.ts'
import { until } from '../../test/support/until.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

function start(args: readonly string[], server?: { readonly url: string }): ChildProcess & AsyncDisposable {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, FN_API_URL: server?.url ?? 'http://127.0.0.1:1' },
  })
  const exited = once(child, 'exit')
  return Object.assign(child, {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  })
}

async function outcome(child: ChildProcess) {
  assert.ok(child.stdout && child.stderr)
  const [[code, signal], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { code: code ?? signal, stdout, stderr }
}

test('an error ends with its exit code', async () => {
  await using child = start(['list', 'apps'])
  const { code, stdout, stderr } = await outcome(child)
  assert.deepEqual([code, stdout], [7, ''])
  assert.match(stderr, /^sluice: no server at http:\/\/127\.0\.0\.1:1; .*\n$/)
})

test('a call that is answered before its input ends does not wait for that', async () => {
  const http = createServer((request, response) => {
    const items = [{ id: 'x', name: request.url?.startsWith('/v2/apps') ? 'shop' : 'cart' }]
    response.end(JSON.stringify(request.method === 'GET' ? { items } : 'early'))
  }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as { port: number }
  await using child = start(['invoke', 'shop', 'cart'], { url: `http://127.0.0.1:${port}` })
  child.stdin?.write('some input') // and no end
  const { code, stdout } = await outcome(child)
  http.close()
  http.closeAllConnections()
  assert.deepEqual([code, stdout], [0, '"early"'])
})

for (const [name, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test(`${name} ends a command that waits, with exit code ${code}`, async () => {
    await using server = await startFnServer()
    server.intercept = () => 'own'
    await using child = start(['list', 'apps'], server)
    const ended = outcome(child)
    await until('the request', () => server.requests.length > 0)
    child.kill(name)
    assert.deepEqual(await ended, { code, stdout: '', stderr: 'sluice: interrupted\n' })
  })

test('a long answer arrives whole', async () => {
  await using server = await startFnServer()
  const name = 'n'.repeat(1_000)
  server.intercept = () => [200, { items: Array.from({ length: 500 }, (_, id) => ({ id: `${id}`, name })) }]
  await using child = start(['list', 'apps', '--json'], server)
  const { code, stdout } = await outcome(child)
  assert.equal(code, 0)
  assert.equal(JSON.parse(stdout).length, 500)
})

test('a reader that has seen enough is no error', async () => {
  await using server = await startFnServer()
  const name = 'n'.repeat(1_000)
  server.intercept = () => [200, { items: Array.from({ length: 500 }, (_, id) => ({ id: `${id}`, name })) }]
  await using child = start(['list', 'apps', '--json'], server)
  child.stdout?.once('data', () => child.stdout?.destroy())
  assert.ok(child.stderr)
  const [[code], stderr] = await Promise.all([once(child, 'exit'), text(child.stderr)])
  assert.deepEqual([code, stderr], [0, ''])
})
