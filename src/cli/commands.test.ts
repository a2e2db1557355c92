import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CliOptions, runCli } from '../../test/support/cli.ts'
import { type FnServer, startFnServer } from '../../test/support/fn-server.ts'

/** Runs a command line (words without spaces) against a server. */
const sluice = (server: FnServer, line: string, options: CliOptions = {}) =>
  runCli(line.split(' '), { ...options, env: { FN_API_URL: server.url, ...options.env } })

/** A server with app `shop` (config A=1) and its function `cart` (config B=2) with trigger `buy`. */
async function startShop(): Promise<FnServer> {
  const server = await startFnServer()
  server.items.apps.set('a1', {
    id: 'a1',
    name: 'shop',
    config: { A: '1' },
    updated_at: '2026-01-02T03:04:05.678Z',
  })
  server.items.fns.set('f1', {
    id: 'f1',
    name: 'cart',
    app_id: 'a1',
    image: `bundle@sha256:${'ab'.repeat(32)}`,
    memory: 128,
    timeout: 30,
    config: { B: '2' },
  })
  server.items.triggers.set('t1', {
    id: 't1',
    name: 'buy',
    app_id: 'a1',
    fn_id: 'f1',
    type: 'http',
    source: '/buy',
  })
  return server
}

test('apps are listed in aligned columns', async () => {
  await using server = await startShop()
  server.items.apps.set('a2', { id: 'a2', name: 'a-longer-name', updated_at: '2026-01-02T03:04:05.678Z' })
  const { code, stdout } = await sluice(server, 'list apps')
  assert.equal(code, 0)
  assert.equal(
    stdout,
    [
      'NAME           ID  UPDATED',
      'a-longer-name  a2  2026-01-02T03:04:05.678Z',
      'shop           a1  2026-01-02T03:04:05.678Z',
      '',
    ].join('\n'),
  )
})

test('no apps is a note, and an empty list in JSON', async () => {
  await using server = await startFnServer()
  const people = await sluice(server, 'list apps')
  const program = await sluice(server, 'list apps --json')
  assert.deepEqual([people.code, people.stdout], [0, ''])
  assert.match(people.stderr, /^no apps yet/)
  assert.deepEqual(JSON.parse(program.stdout), [])
})

test('functions are listed for one app or for all of them', async () => {
  await using server = await startShop()
  const expected = [
    'APP   NAME  IMAGE                MEMORY  TIMEOUT  ID',
    'shop  cart  bundle abababababab  128 MB  30s      f1',
    '',
  ].join('\n')
  assert.equal((await sluice(server, 'list functions shop')).stdout, expected)
  assert.equal((await sluice(server, 'ls fns')).stdout, expected)
})

test('triggers are listed with their function and URL', async () => {
  await using server = await startShop()
  const { stdout } = await sluice(server, 'list triggers shop')
  assert.match(stdout, new RegExp(`^cart +buy +http +/buy +${server.url}/t/shop/buy$`, 'm'))
})

test('the triggers of one function are asked for by its id', async () => {
  await using server = await startShop()
  await sluice(server, 'list triggers shop cart')
  assert.equal(server.requests.at(-1)?.query['fn_id'], 'f1')
})

test('an app that is not there ends with exit code 3 and one line', async () => {
  await using server = await startFnServer()
  const { code, stdout, stderr } = await sluice(server, 'list functions shop')
  assert.deepEqual([code, stdout], [3, ''])
  assert.equal(
    stderr,
    `sluice: App not found: no app is named "shop" at ${server.url}; see "sluice list apps"\n`,
  )
})

test('inspect prints a resource as JSON', async () => {
  await using server = await startShop()
  assert.equal(JSON.parse((await sluice(server, 'inspect app shop')).stdout).id, 'a1')
  assert.equal(JSON.parse((await sluice(server, 'inspect app shop --json')).stdout).id, 'a1')
  assert.equal(JSON.parse((await sluice(server, 'inspect function shop cart')).stdout).id, 'f1')
  assert.equal(JSON.parse((await sluice(server, 'inspect trigger shop cart buy')).stdout).id, 't1')
})

test('inspect --endpoint prints only the URL', async () => {
  await using server = await startShop()
  const fn = await sluice(server, 'inspect function shop cart --endpoint')
  const trigger = await sluice(server, 'inspect trigger shop cart buy --endpoint')
  assert.deepEqual([fn.stdout, trigger.stdout], [`${server.url}/invoke/f1\n`, `${server.url}/t/shop/buy\n`])
})

test('an app is created with its config', async () => {
  await using server = await startFnServer()
  const { code, stdout } = await sluice(server, 'create app shop --config A=1 --config B=x=y')
  assert.deepEqual([code, stdout], [0, 'Created app shop\n'])
  const body = JSON.parse(server.requests[0]?.body.toString() ?? '')
  assert.deepEqual(body, { name: 'shop', config: { A: '1', B: 'x=y' } })
})

test('an app that exists already ends with exit code 4', async () => {
  await using server = await startShop()
  const { code, stderr } = await sluice(server, 'create app shop')
  assert.deepEqual([code, stderr], [4, 'sluice: App already exists: app shop\n'])
})

test('a function is created from an image, with its limits', async () => {
  await using server = await startShop()
  const before = server.requests.length
  const line = 'create function shop pay registry.example/pay:2 --memory 64 --config A=1'
  const { code, stdout } = await sluice(server, line)
  assert.equal(code, 0)
  assert.match(stdout, /^Created function pay in app shop: http.*\/invoke\//)
  const sent = server.requests.slice(before).find(({ method }) => method === 'POST')
  const { app_id: _, ...body } = JSON.parse(sent?.body.toString() ?? '')
  const expected = {
    name: 'pay',
    image: 'registry.example/pay:2',
    memory: 64,
    timeout: 30,
    config: { A: '1' },
  }
  assert.deepEqual(body, expected)
})

test('a trigger is created on a function and its URL printed', async () => {
  await using server = await startShop()
  const { stdout } = await sluice(server, 'create trigger shop cart pay --source /pay')
  assert.equal(stdout, `Created trigger pay at ${server.url}/t/shop/pay\n`)
  const body = JSON.parse(server.requests.at(-1)?.body.toString() ?? '')
  assert.deepEqual(body, { app_id: 'a1', fn_id: 'f1', name: 'pay', type: 'http', source: '/pay' })
})

test('config is listed, read, set and unset', async () => {
  await using server = await startShop()
  assert.equal((await sluice(server, 'config app shop')).stdout, 'KEY  VALUE\nA    1\n')
  assert.equal((await sluice(server, 'config app shop A')).stdout, '1\n')
  assert.equal((await sluice(server, 'config app shop C 3')).stderr, 'Set C of shop\n')
  assert.equal((await sluice(server, 'config app shop A --unset')).stderr, 'Removed A of shop\n')
  assert.deepEqual(JSON.parse((await sluice(server, 'config app shop --json')).stdout), { C: '3' })
})

test("a function's config is its own", async () => {
  await using server = await startShop()
  await sluice(server, 'config function shop cart B 5')
  assert.deepEqual(server.items.fns.get('f1')?.['config'], { B: '5' })
  assert.deepEqual(server.items.apps.get('a1')?.['config'], { A: '1' })
})

test('a key that is not there can neither be read nor unset', async () => {
  await using server = await startShop()
  for (const line of ['config app shop Z', 'config app shop Z --unset', 'config app shop constructor']) {
    const { code, stderr } = await sluice(server, line)
    assert.equal(code, 3)
    assert.match(stderr, /^sluice: shop has no config key /)
  }
})

test('--unset with a value, and an empty value, change nothing', async () => {
  await using server = await startShop()
  const both = await sluice(server, 'config app shop A 2 --unset')
  const empty = await runCli(['config', 'app', 'shop', 'A', ''], { env: { FN_API_URL: server.url } })
  assert.deepEqual([both.code, empty.code], [2, 2])
  assert.deepEqual(server.items.apps.get('a1')?.['config'], { A: '1' })
})

test('a function and a trigger are deleted by name', async () => {
  await using server = await startShop()
  assert.equal(
    (await sluice(server, 'delete trigger shop cart buy')).stdout,
    'Deleted trigger buy of function cart\n',
  )
  assert.equal((await sluice(server, 'rm fn shop cart')).stdout, 'Deleted function cart of app shop\n')
  assert.deepEqual([server.items.fns.size, server.items.triggers.size], [0, 0])
})

test('an app with functions is not deleted by a script that does not say --yes', async () => {
  await using server = await startShop()
  const refused = await sluice(server, 'delete app shop', { stdin: '' })
  assert.equal(refused.code, 4)
  assert.equal(refused.stderr, 'sluice: app shop has a function: add --yes to delete them with it\n')
  assert.equal(server.items.apps.size, 1)

  assert.equal((await sluice(server, 'delete app shop --yes', { stdin: '' })).code, 0)
  assert.equal(server.items.apps.size, 0)
})

test('a person is asked before an app with functions is deleted', async () => {
  await using server = await startShop()
  for (const [answer, left] of [
    ['n\n', 1],
    ['', 1],
    ['maybe yes\n', 1],
    ['y\n', 0],
  ] as const) {
    const { code, stderr } = await sluice(server, 'delete app shop', { stdin: answer, stdinTerminal: true })
    assert.match(stderr, /^app shop has a function\. Delete all of it\? \[y\/N\] /)
    assert.deepEqual([code, server.items.apps.size], [0, left], JSON.stringify(answer))
  }
})

test('an empty app is deleted without a question', async () => {
  await using server = await startShop()
  server.items.fns.clear()
  assert.equal((await sluice(server, 'delete app shop', { stdin: '' })).code, 0)
})

test('version tells both versions, and of a server that is not there that it is not', async () => {
  const server = await startFnServer()
  const there = await sluice(server, 'version')
  await server[Symbol.asyncDispose]()
  const away = await sluice(server, 'version --json')
  assert.match(there.stdout, /^client {2}\d+\.\d+\.\d+\nserver {2}1\.2\.3 \(http:/)
  assert.deepEqual([away.code, JSON.parse(away.stdout).server], [0, null])
})

test('an environment that cannot be read is wrong use', async () => {
  const { code, stderr } = await runCli(['list', 'apps'], { env: { FN_TOKEN_FILE: '/nowhere/token' } })
  assert.equal(code, 2)
  assert.match(stderr, /^sluice: Invalid environment: ENOENT/)
})
