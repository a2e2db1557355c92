import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isId } from '../../src/core/ids.ts'
import { writeFiles } from '../support/files.ts'
import {
  call,
  type Deployed,
  deploy,
  example,
  failureOf,
  manage,
  startServer,
  testFunction,
} from '../support/functions.ts'
import type { Role } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'

/** What functions printed during one call, from the log of a server. */
const linesOf = (log: string, callId: string | null): string[] =>
  log
    .split('\n')
    .filter((line) => line.includes('"user_log":true'))
    .map((line) => JSON.parse(line))
    .filter((line) => line.call_id === callId)
    .map((line) => line.msg)

describe('what 2017 promised of a call', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>
  let server: Role
  let shell: Deployed
  let mirror: Deployed
  before(async () => {
    temp = await tempDir()
    server = await startServer(temp.path, { driver: 'process', env: {} })
    shell = await deploy(server, testFunction('shell'))
    mirror = await deploy(server, testFunction('mirror'))
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await temp[Symbol.asyncDispose]()
  })

  /** What a function of format default finds in its environment when it is called by its trigger. */
  async function environment(headers: Record<string, string> = {}): Promise<Map<string, string>> {
    const { status, text } = await call(shell.triggers[0] as string, 'env', headers)
    assert.equal(status, 200, text)
    const pairs = text.split('\n').map((line) => line.split('=', 2) as [string, string])
    return new Map(pairs)
  }

  test('row 18: the body of a POST is the input of a function, and what it answers the reply', async () => {
    const { url, triggers } = await deploy(server, example('hello-sh'))
    for (const target of [url, ...triggers]) {
      const { status, text } = await call(target, '{"name":"test"}')
      assert.deepEqual([status, text], [200, 'Hello, test!\n'])
    }
  })

  test('row 19: the query of a GET reaches the function in the URL, and there is no body', async () => {
    const url = `${mirror.triggers[0]}?payload=%7B%22name%22%3A%22test%22%7D`
    const reply = await fetch(url)
    const { headers, body } = (await reply.json()) as { headers: Record<string, string>; body: string }
    assert.equal(reply.status, 200)
    assert.equal(headers['fn-http-method'], 'GET')
    assert.equal(headers['fn-http-request-url'], url)
    assert.equal(body, '')
    assert.equal((await fetch(mirror.url)).status, 405)
  })

  test('row 20: a function of format default finds its call and its config in the environment', async () => {
    await manage(server, 'PUT', `fns/${shell.fn.id}`, { config: { 'greet-ing': 'hi there' } })
    const found = await environment({ 'X-Foo': 'bar' })
    const expected = {
      METHOD: 'POST',
      APP_NAME: 'app',
      ROUTE: '/shell',
      REQUEST_URL: shell.triggers[0],
      HEADER_X_FOO: 'bar',
      GREET_ING: 'hi there',
    }
    assert.deepEqual(
      Object.fromEntries(Object.keys(expected).map((name) => [name, found.get(name)])),
      expected,
    )
  })

  test('row 21: of a key that app and function both set the function wins', async () => {
    await manage(server, 'PUT', `apps/${shell.fn.app_id}`, { config: { WHO: 'app', WHERE: 'app' } })
    await manage(server, 'PUT', `fns/${shell.fn.id}`, { config: { WHO: 'function' } })
    const found = await environment()
    assert.deepEqual([found.get('WHO'), found.get('WHERE')], ['function', 'app'])
  })

  test('row 23: the reply carries the id of the call, which the function knows too', async () => {
    const { headers, text } = await call(shell.url, 'printf "$FN_CALL_ID"')
    assert.ok(isId(text), text)
    assert.equal(headers.get('fn-call-id'), text)
    assert.ok(isId((await call(shell.url, 'exit 1')).headers.get('fn-call-id') ?? ''))
  })

  test('row 24: an exit code that is not zero is 502, and the caller hears the code', async () => {
    const reply = await call(shell.url, 'echo half an answer; exit 1')
    assert.deepEqual(failureOf(reply), [502, 'function failed', 'exit code 1'])
  })

  test('row 27: what a function prints to stderr is in the log, with its call, app, function and image', async () => {
    const { headers } = await call(shell.url, 'echo only for the log >&2')
    const line = await until('the line', () =>
      server
        .log()
        .split('\n')
        .find((text) => text.includes('"msg":"only for the log"')),
    )
    const { call_id, app_name, fn_name, image, user_log, stream } = JSON.parse(line)
    assert.deepEqual(
      { call_id, app_name, fn_name, image, user_log, stream },
      {
        call_id: headers.get('fn-call-id'),
        app_name: 'app',
        fn_name: 'shell',
        image: shell.fn.image,
        user_log: true,
        stream: 'stderr',
      },
    )
  })

  test('of a handler that throws the caller hears where to look, and the stack is there under the id of the call', async () => {
    const folder = join(temp.path, 'thrower')
    await writeFiles(folder, {
      'func.cjs': `module.exports = function charge() { throw new Error('no such customer') }`,
    })
    const { url } = await deploy(server, folder)
    const { status, headers, text } = await call(url, '')
    const id = headers.get('fn-call-id')
    const { message, detail } = JSON.parse(text)
    assert.deepEqual([status, message], [502, 'function failed'])
    assert.match(detail, new RegExp(`in the log of the node with call_id ${id}`))
    assert.doesNotMatch(text, /no such customer/)
    const printed = () => linesOf(server.log(), id)
    await until('the stack', () => printed().some((line) => line.includes('at charge')))
    assert.match(printed().join('\n'), /no such customer/)
  })
})
