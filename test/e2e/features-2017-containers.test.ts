import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  call,
  type Deployed,
  deploy,
  example,
  failureOf,
  manage,
  startServer,
  startsOf,
  testFunction,
  vary,
} from '../support/functions.ts'
import { processesOf } from '../support/processes.ts'
import type { Role } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'
import { WAYS } from '../support/ways.ts'

// Podman is reached by the same driver, whose contract it passes.
for (const way of WAYS.filter(({ name }) => name !== 'podman'))
  describe(`what 2017 promised of any container, on ${way.name}`, {
    skip: way.skip,
  }, () => {
    let temp: Awaited<ReturnType<typeof tempDir>>
    let server: Role
    let shell: Deployed
    before(async () => {
      temp = await tempDir()
      server = await startServer(temp.path, way)
      shell = await deploy(server, testFunction('shell'))
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
      await temp[Symbol.asyncDispose]()
    })

    test('row 25: a call that runs too long is 504, and nothing of its container stays', async () => {
      const { fn, url } = await vary(server, shell, { name: 'slow', timeout: 1 })
      const answering = call(url, 'sleep 600 & sleep 600')
      await until('its processes', () => processesOf(fn.id).length > 0)
      const told = "it ran longer than the function's timeout of 1 s"
      assert.deepEqual(failureOf(await answering), [504, 'Timed out', told])
      await until('its processes to be gone', () => processesOf(fn.id).length === 0)
    })

    test('row 26: a function that takes more memory than it may is ended, and the caller hears why', {
      skip: way.driver === 'process' && 'the process driver limits no memory',
    }, async () => {
      const { url } = await vary(server, shell, { name: 'small', memory: 16 })
      assert.equal((await call(url, 'echo fits')).text, 'fits\n')
      const reply = await call(url, 'dd if=/dev/zero of=/dev/null bs=200M count=1')
      const detail = 'container out of memory, you may want to raise fn.memory for this function'
      assert.deepEqual(failureOf(reply), [502, 'function failed', detail])
    })

    test('row 27: what a hot function prints just before it answers is in the log with that call', async () => {
      const { url } = await deploy(server, testFunction('mirror'))
      for (let i = 0; i < 10; i++) {
        const { headers } = await call(url, '', { 'X-Log': `line ${i} of ten` })
        const line = await until('the line', () => findLine(server, `line ${i} of ten`))
        assert.equal(JSON.parse(line).call_id, headers.get('fn-call-id'))
      }
    })
  })

/** What the server logged about a line that a function printed. */
const findLine = (server: Role, text: string): string | undefined =>
  server
    .log()
    .split('\n')
    .find((line) => line.includes(`"msg":"${text}"`))

describe('what 2017 promised of a hot container', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>
  let server: Role
  let work: Deployed
  let mirror: Deployed
  before(async () => {
    temp = await tempDir()
    server = await startServer(temp.path, { driver: 'process', env: {} })
    work = await deploy(server, example('work'))
    mirror = await deploy(server, testFunction('mirror'))
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await temp[Symbol.asyncDispose]()
  })

  /** One call that takes so long. @returns which start of the program served it, as its how-manieth call */
  async function run(url: string, ms: number): Promise<{ bootId: string; calls: number }> {
    const { status, text } = await call(url, JSON.stringify({ ms }))
    assert.equal(status, 200, text)
    return JSON.parse(text)
  }

  test('row 46: calls one after the other are served by one process', async () => {
    const first = await run(work.url, 1)
    const second = await run(work.triggers[0] as string, 1)
    assert.deepEqual([second.bootId, second.calls], [first.bootId, first.calls + 1])
  })

  test('row 47: a call on the socket has its exact length, its id and the headers of its caller', async () => {
    await manage(server, 'PUT', `fns/${mirror.fn.id}`, { config: { GREETING: 'hi' } })
    const body = randomBytes(70_001)
    const reply = await call(mirror.triggers[0] as string, body, { 'X-Foo': 'bar' })
    const seen = JSON.parse(reply.text)
    assert.equal(`${seen.method} ${seen.url}`, 'POST /call')
    assert.equal(seen.headers['content-length'], '70001')
    assert.ok(Buffer.from(seen.body, 'base64').equals(body))
    assert.equal(seen.headers['fn-call-id'], reply.headers.get('fn-call-id'))
    assert.equal(seen.headers['fn-http-h-x-foo'], 'bar')
    assert.deepEqual(
      [seen.env.GREETING, seen.env.FN_FORMAT, seen.env.FN_APP_NAME],
      ['hi', 'http-stream', 'app'],
    )
    assert.equal(reply.headers.get('content-length'), String(reply.bytes.length))
  })

  test('row 48: while calls wait for long ones more containers are started', async () => {
    await run(work.url, 300)
    const answers = await Promise.all([1, 2, 3].map(() => run(work.url, 1_000)))
    assert.ok(new Set(answers.map(({ bootId }) => bootId)).size >= 2)
  })

  test('row 50: an idle container is gone after its idle_timeout', async () => {
    const brief = await vary(server, work, { name: 'brief', idle_timeout: 1 })
    await run(brief.url, 1)
    assert.notDeepEqual(processesOf(brief.fn.id), [])
    await until('its process to be gone', () => processesOf(brief.fn.id).length === 0)
    await run(brief.url, 1)
    assert.deepEqual(
      (await startsOf(server, brief)).map(({ reason }) => reason),
      ['first', 'idle'],
    )
  })

  test('row 51: after a call that timed out the next ones get their own answers', async () => {
    const strict = await vary(server, mirror, { name: 'strict', timeout: 1 })
    const late = await call(strict.url, 'late', { 'X-Wait': '1500' })
    const told = "it ran longer than the function's timeout of 1 s"
    assert.deepEqual(failureOf(late), [504, 'Timed out', told])
    for (const body of ['second', 'third'])
      assert.equal(atob(JSON.parse((await call(strict.url, body)).text).body), body)
  })

  test('row 51: a handler that stops at its deadline, as its signal says, has timed out too', async () => {
    const strict = await vary(server, work, { name: 'obedient', timeout: 1 })
    const late = await call(strict.url, '{"ms":60000}')
    const told = 'the function itself said that its time was up (504)'
    assert.deepEqual(failureOf(late), [504, 'Timed out', told])
  })
})
