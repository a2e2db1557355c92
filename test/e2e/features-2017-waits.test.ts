import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseWait, totalWait, type Wait } from '../../src/core/headers.ts'
import { parseDuration } from '../../src/core/units.ts'
import type { App, Fn } from '../../src/core/words.ts'
import { Docker } from '../support/docker-client.ts'
import {
  type Answer,
  atNode,
  call,
  type Deployed,
  deploy,
  example,
  failureOf,
  loadOf,
  manage,
  startServer,
  startsOf,
  testFunction,
  vary,
} from '../support/functions.ts'
import { processesOf } from '../support/processes.ts'
import { importLayer, pythonLayer, pythonMissing } from '../support/python.ts'
import { moveImage, registryMissing, startRegistry } from '../support/registry.ts'
import type { Role } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'
import { WAYS } from '../support/ways.ts'

/** What a node says of a call's wait (ms). */
function waitOf({ headers }: Answer): Wait & { readonly total: number } {
  const wait = parseWait(headers.get('fn-wait') as string) as Wait
  const total = parseDuration(headers.get('fxlb-wait') as string) as number
  assert.ok(Math.abs(total - totalWait(wait)) < 0.01, 'the clocks add up to the wait')
  return { ...wait, total }
}

/** A file that scripts wait for. */
function makeGate(dir: string, name: string) {
  const path = join(dir, name)
  return {
    script: `until [ -e ${path} ]; do sleep 0.02; done; echo through`,
    open: () => writeFile(path, ''),
  }
}

describe('what 2017 promised of waiting', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>
  let server: Role
  let shell: Deployed
  before(async () => {
    temp = await tempDir()
    server = await startServer(temp.path, { driver: 'process', env: {} }, ['--memory', '256M'])
    shell = await deploy(server, testFunction('shell'))
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await temp[Symbol.asyncDispose]()
  })

  test('row 43: with memory for two containers the third call waits until one ends, and its header says so', async () => {
    const url = atNode(server, shell)
    const gate = makeGate(temp.path, 'memory')
    const running = [call(url, gate.script), call(url, gate.script)]
    await until('two calls to run', async () => (await loadOf(server)).run === 2)
    const third = call(url, 'echo mine')
    await until('the third to wait', async () => (await loadOf(server)).queue === 1)
    const seen = performance.now()
    const { memory, run } = await loadOf(server)
    assert.deepEqual([run, memory], [2, { used: 256 * 1024 ** 2, total: 256 * 1024 ** 2 }])
    const opened = performance.now()
    await gate.open()
    for (const { text } of await Promise.all(running)) assert.equal(text, 'through\n')
    assert.equal((await third).text, 'mine\n')
    assert.ok(waitOf(await third).queue >= opened - seen)
  })

  test('row 44: a call that finds no memory within its max_wait is refused, and has started nothing', async () => {
    const large = await vary(server, shell, { name: 'large', memory: 256 })
    const hasty = await vary(server, shell, { name: 'hasty', max_wait: 1 })
    const gate = makeGate(temp.path, 'time')
    const running = call(large.url, gate.script)
    await until('the call to run', async () => (await loadOf(server)).run === 1)
    const reply = await call(hasty.url, 'echo never')
    const [status, message, detail] = failureOf(reply)
    assert.deepEqual([status, message], [503, 'Timed out - server too busy'])
    assert.match(
      detail ?? '',
      /^waited max_wait = 1 s for a slot; memory is short: a container needs 128 MiB/,
    )
    assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/)
    assert.deepEqual(await startsOf(server, hasty), [])
    await gate.open()
    assert.equal((await running).text, 'through\n')
  })

  test('row 52: the wait of a first call counts the fetch of its bundle and the start of its container', async () => {
    const hello = await deploy(server, example('hello-ts'))
    const first = waitOf(await call(atNode(server, hello)))
    const [start] = await startsOf(server, hello)
    assert.ok(first.fetch > 0)
    assert.ok(first.total >= (start?.fetch as number) + (start?.create as number))
    const second = waitOf(await call(atNode(server, hello)))
    assert.deepEqual([second.fetch, second.start], [0, 0])
  })

  test('row 65: Ctrl-C during a call lets it end well, and then the server', async () => {
    const gate = makeGate(temp.path, 'end')
    const running = call(shell.url, gate.script)
    await until('the call to run', async () => (await loadOf(server)).run === 1)
    const ended = server.end('SIGINT')
    await until('the stop to begin', () => server.log().includes('stopping: running calls'))
    await gate.open()
    const { status, text } = await running
    assert.deepEqual([status, text], [200, 'through\n'])
    assert.equal(await ended, 0)
    assert.deepEqual(processesOf(shell.fn.id), [])
  })
})

const docker = WAYS.find(({ name }) => name === 'docker')

test('row 52: the wait of a first call counts the pull of its image', {
  skip: docker?.skip || registryMissing() || pythonMissing(),
}, async () => {
  await using temp = await tempDir()
  const login = { user: 'ada', password: 'sesame' }
  await using registry = await startRegistry(login)
  const engine = new Docker(docker?.engine as string)
  const name = `${registry.address}/hello-py:latest`
  const { layer, command } = await pythonLayer(join(example('hello-py'), 'func.py'))
  await importLayer(engine, name, layer, command)
  const { ref } = await moveImage(engine, registry, name)
  const auth = [{ name: registry.address, username: login.user, password: login.password }]
  const env = { ...docker?.env, DOCKER_AUTH: JSON.stringify(auth) }
  await using server = await startServer(temp.path, { driver: 'docker', env })
  const app = await manage<App>(server, 'POST', 'apps', { name: 'app' })
  const fn = await manage<Fn>(server, 'POST', 'fns', { app_id: app.id, name: 'hello', image: ref })
  const url = atNode(server, { fn, url: `${server.ready.url}/invoke/${fn.id}`, triggers: [] })

  const held = registry.hold()
  const calling = call(url)
  await until('the pull', () => registry.waiting > 0)
  const seen = performance.now()
  assert.equal((await loadOf(server)).queue, 1)
  const released = performance.now()
  held[Symbol.dispose]()
  assert.equal((await calling).status, 200)
  assert.ok(waitOf(await calling).fetch >= released - seen)
  registry.requests.length = 0
  const second = waitOf(await call(url))
  assert.deepEqual([second.fetch, second.start, registry.requests], [0, 0, []])
  await engine.removeImage(ref, true)
})
