import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import { type CliOptions, runCli } from '../../test/support/cli.ts'
import { writeFiles } from '../../test/support/files.ts'
import { type FnServer, startFnServer } from '../../test/support/fn-server.ts'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'
import { virtualClock } from '../core/clock.ts'

async function startShop(): Promise<FnServer> {
  const server = await startFnServer()
  server.items.apps.set('a1', { id: 'a1', name: 'shop' })
  server.items.fns.set('f1', { id: 'f1', name: 'cart', app_id: 'a1' })
  return server
}

const invoke = (server: FnServer, flags: readonly string[] = [], options: CliOptions = {}) =>
  runCli(['invoke', 'shop', 'cart', ...flags], { ...options, env: { FN_API_URL: server.url } })

test('stdin goes to the function and its answer to stdout', async () => {
  await using server = await startShop()
  const { code, stdout, stderr } = await invoke(server, [], { stdin: 'some input' })
  assert.deepEqual([code, stdout, stderr], [0, '{"echo":"some input"}', ''])
  assert.deepEqual(server.lines(), ['GET /v2/apps', 'GET /v2/fns', 'POST /invoke/f1'])
})

test('an input that comes late is waited for before the call is sent', async () => {
  await using server = await startShop()
  const stdin = new PassThrough()
  const running = invoke(server, [], { stdin })
  await until('the name to be resolved', () => server.lines().includes('GET /v2/fns'))
  assert.equal(server.lines().includes('POST /invoke/f1'), false)
  stdin.end('late')
  assert.equal((await running).stdout, '{"echo":"late"}')
})

test('an input without a byte is an empty one', async () => {
  await using server = await startShop()
  const stdin = new PassThrough()
  stdin.end()
  assert.equal((await invoke(server, [], { stdin })).stdout, '{"echo":""}')
})

test('waiting for an input can be interrupted', async () => {
  await using server = await startShop()
  const interrupt = new AbortController()
  const running = invoke(server, [], { stdin: new PassThrough(), signal: interrupt.signal })
  await until('the name to be resolved', () => server.lines().includes('GET /v2/fns'))
  interrupt.abort(new DOMException('received SIGINT', 'AbortError'))
  assert.equal((await running).code, 130)
})

test('a large input arrives whole', async () => {
  await using server = await startShop()
  const input = 'x'.repeat(3_000_000)
  assert.equal(
    (await invoke(server, [], { stdin: Readable.from([input, 'end']) })).stdout.length,
    input.length + 14,
  )
})

test('a terminal is not read: the input is empty', async () => {
  await using server = await startShop()
  const { stdout } = await invoke(server, [], { stdin: new PassThrough(), stdinTerminal: true })
  assert.equal(stdout, '{"echo":""}')
})

test('the content type is that of the option, else of the func file of this function, else text/plain', async () => {
  await using server = await startShop()
  await using dir = await tempDir()
  await writeFiles(dir.path, {
    'mine/func.yaml': 'name: cart\ncontent_type: text/csv',
    'other/func.yaml': 'name: pay\ncontent_type: text/csv',
  })
  await invoke(server, ['--content-type', 'text/html'], { cwd: `${dir.path}/mine` })
  await invoke(server, [], { cwd: `${dir.path}/mine` })
  await invoke(server, [], { cwd: `${dir.path}/other` })
  await invoke(server, [], { cwd: dir.path })
  const types = server.requests
    .filter(({ path }) => path === '/invoke/f1')
    .map(({ headers }) => headers['content-type'])
  assert.deepEqual(types, ['text/html', 'text/csv', 'text/plain', 'text/plain'])
})

test('a failed call is one line on stderr with message, detail and call, and the exit code of its cause', async () => {
  await using server = await startShop()
  server.intercept = ({ path }, response) => {
    if (path !== '/invoke/f1') return undefined
    response.setHeader('fn-call-id', '01CALL')
    return [502, { message: 'function failed', detail: 'TypeError: x' }]
  }
  const { code, stdout, stderr } = await invoke(server)
  assert.deepEqual([code, stdout], [6, ''])
  assert.equal(stderr, 'sluice: function failed (status 502): TypeError: x · call 01CALL\n')
})

test('whose fault it was shows in the exit code', async () => {
  await using server = await startShop()
  const codes: number[] = []
  for (const [status, message] of [
    [504, 'Timed out'],
    [503, 'Timed out - server too busy'],
    [404, 'Fn not found'],
    [500, 'internal server error'],
  ] as const) {
    server.intercept = ({ path }) => (path === '/invoke/f1' ? [status, { message }] : undefined)
    codes.push((await invoke(server)).code)
  }
  assert.deepEqual(codes, [6, 7, 3, 7])
})

test('an answer of which the function says that it failed is printed, and the exit code is 6', async () => {
  await using server = await startShop()
  const answer = (status: string) => {
    server.intercept = ({ path }, response) => {
      if (path !== '/invoke/f1') return undefined
      response.setHeader('fn-http-status', status).setHeader('fn-call-id', '01CALL')
      return [200, { error: 'mine' }]
    }
    return invoke(server)
  }
  for (const status of ['400', '500']) {
    const { code, stdout, stderr } = await answer(status)
    assert.deepEqual([code, stdout], [6, '{"error":"mine"}'])
    assert.equal(stderr, `sluice: the function answered with status ${status}: call 01CALL\n`)
  }
  for (const status of ['201', '302', 'odd']) assert.equal((await answer(status)).code, 0, status)
})

test('on a terminal an answer ends its line, and only there', async () => {
  await using server = await startShop()
  const answer = async (body: string, terminal: boolean) => {
    server.intercept = ({ path }, response) => {
      if (path !== '/invoke/f1') return undefined
      response.end(body)
      return 'own'
    }
    return (await invoke(server, [], { terminal })).stdout
  }
  assert.equal(await answer('done', true), 'done\n')
  assert.equal(await answer('done\n', true), 'done\n')
  assert.equal(await answer('', true), '')
  assert.equal(await answer('done', false), 'done')
})

test('--include prints the status and headers before the answer', async () => {
  await using server = await startShop()
  const { stdout } = await invoke(server, ['-i'])
  assert.match(stdout, /^HTTP\/1\.1 200\n(?:[a-z-]+: .*\n)+\n\{"echo":""\}$/)
})

test('--display-call-id prints the id on stderr', async () => {
  await using server = await startShop()
  server.intercept = (_, response) => void response.setHeader('fn-call-id', '01CALL')
  const { stdout, stderr } = await invoke(server, ['--display-call-id'])
  assert.deepEqual([stdout, stderr], ['{"echo":""}', 'Call ID: 01CALL\n'])
})

test('an answer is passed on while the function still writes it', async () => {
  await using server = await startShop()
  let finish = () => {}
  server.intercept = ({ path }, response) => {
    if (path !== '/invoke/f1') return undefined
    response.write('first ')
    finish = () => response.end('second')
    return 'own'
  }
  const seen: string[] = []
  const onStdout = (chunk: string) => {
    seen.push(chunk)
    finish()
  }
  const { stdout } = await invoke(server, [], { onStdout })
  assert.deepEqual([seen[0], stdout], ['first ', 'first second'])
})

test('--timeout gives up a call that does not end', async () => {
  await using server = await startShop()
  const clock = virtualClock()
  server.intercept = ({ path }) => (path === '/invoke/f1' ? 'own' : undefined)
  const running = invoke(server, ['--timeout', '5s'], { clock })
  await until('the call', () => server.lines().includes('POST /invoke/f1'))
  clock.advance(5_000)
  const { code, stderr } = await running
  assert.deepEqual([code, stderr], [6, `sluice: no answer from ${server.url} within 5s\n`])
})

test('an interrupted call ends with 130', async () => {
  await using server = await startShop()
  const interrupt = new AbortController()
  server.intercept = ({ path }) => (path === '/invoke/f1' ? 'own' : undefined)
  const running = invoke(server, [], { signal: interrupt.signal })
  await until('the call', () => server.lines().includes('POST /invoke/f1'))
  interrupt.abort(new DOMException('received SIGINT', 'AbortError'))
  const { code, stderr } = await running
  assert.deepEqual([code, stderr], [130, 'sluice: interrupted\n'])
})

test('a time limit that is none is wrong use', async () => {
  await using server = await startShop()
  for (const text of ['soon', '0', '-1s', '25h'])
    assert.equal((await invoke(server, [`--timeout=${text}`])).code, 2)
  assert.deepEqual(server.requests, [])
})
