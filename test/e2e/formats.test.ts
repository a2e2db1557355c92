import assert from 'node:assert/strict'
import { appendFile, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FORMATS } from '../../src/core/words.ts'
import { Docker } from '../support/docker-client.ts'
import { writeFiles } from '../support/files.ts'
import {
  call,
  type Deployed,
  deploy,
  example,
  failureOf,
  startServer,
  startsOf,
  testFunction,
} from '../support/functions.ts'
import { configOf, dockerArchive } from '../support/images.ts'
import { processesOf } from '../support/processes.ts'
import { importLayer, pythonLayer, pythonMissing } from '../support/python.ts'
import type { Role } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'
import { WAYS, type Way } from '../support/ways.ts'

const ADA = '{"name":"Ada"}'

for (const way of WAYS)
  describe(`functions of every format on ${way.name}`, { skip: way.skip }, () => {
    let temp: Awaited<ReturnType<typeof tempDir>>
    let server: Role
    before(async () => {
      temp = await tempDir()
      server = await startServer(temp.path, way)
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
      await temp[Symbol.asyncDispose]()
    })

    /** Calls a hot function by its id and by its trigger, twice each, and sees one process serve all of it. */
    async function callHot(fn: Deployed, body: string | Uint8Array, check: (answer: Buffer) => void) {
      const processes = new Set<string>()
      for (const url of [fn.url, fn.triggers[0] as string, fn.url, fn.triggers[0] as string]) {
        check(await post(url, body))
        processes.add(processesOf(fn.fn.id).join())
      }
      assert.equal(processes.size, 1, [...processes].join(' then '))
      assert.ok(!processes.has(''), 'the test sees the processes of a container')
      assert.equal((await startsOf(server, fn)).length, 1)
    }
    const greets = (answer: Buffer) =>
      assert.deepEqual(JSON.parse(answer.toString()), { message: 'Hello, Ada!' })

    test('http-stream: a program on the unmodified FDK', async () => {
      await callHot(await deploy(server, example('hello-fdk')), ADA, greets)
    })

    test('http-stream: a handler in TypeScript', async () => {
      await callHot(await deploy(server, example('hello-ts')), ADA, greets)
    })

    test('http-stream: a program in Python on nothing but the contract', {
      skip: pythonMissing(),
    }, async () => {
      await using image = way.driver === 'process' ? undefined : await makeImage(way, temp.path)
      await callHot(await deploy(server, image?.folder ?? example('hello-py')), ADA, greets)
    })

    test('port: a web server', async () => {
      const folder = join(temp.path, 'hello-port')
      await cp(example('hello-port'), folder, { recursive: true })
      const func = await readFile(join(folder, 'func.yaml'), 'utf8')
      await writeFile(join(folder, 'func.yaml'), func.replace(/^concurrency: .*/m, 'concurrency: 4'))
      const fn = await deploy(server, folder)
      await callHot(fn, ADA, greets)
      const names = Array.from({ length: 8 }, (_, i) => `caller ${i}`)
      const answers = await Promise.all(
        names.map((name) => post(fn.triggers[0] as string, JSON.stringify({ name }))),
      )
      assert.deepEqual(
        answers.map(String),
        names.map((name) => JSON.stringify({ message: `Hello, ${name}!` })),
      )
      assert.ok((await startsOf(server, fn)).length <= 2)
    })

    test('port: one container serves as many calls at once as it may', async () => {
      const fn = await deploy(server, testFunction('meet'))
      const bodies = ['one', 'two', 'three', 'four']
      const answers = await Promise.all(bodies.map((body) => post(fn.url, body)))
      assert.deepEqual(answers.map(String), bodies)
      assert.equal((await startsOf(server, fn)).length, 1)
    })

    test('http: a program of 2017 on its pipes', async () => {
      const fn = await deploy(server, testFunction('pipe-http'))
      const body = Buffer.from([...Buffer.from('\0\r\n\r\nGET / HTTP/1.1\r\n\r\n'), ...Array(256).keys()])
      await callHot(fn, body, (answer) => {
        const end = answer.indexOf('\n')
        assert.deepEqual(answer.subarray(end + 1), body)
        const head = JSON.parse(answer.toString('utf8', 0, end)) as string[]
        assert.equal(head[0], 'GET / HTTP/1.1')
        for (const line of ['Method: POST', 'Header_x_foo: bar', `Content-Length: ${body.length}`])
          assert.ok(head.includes(line), `${line} is not in ${head.join('\n')}`)
        assert.ok(head.some((line) => [fn.url, ...fn.triggers].some((url) => line === `Request_url: ${url}`)))
      })
    })

    test('default: a shell script, a process for each call', async () => {
      const fn = await deploy(server, example('hello-sh'))
      const urls = [fn.url, fn.triggers[0] as string, fn.url, fn.triggers[0] as string]
      for (const answer of await Promise.all(urls.map((url) => post(url, ADA))))
        assert.equal(answer.toString(), 'Hello, Ada!\n')
      const containers = new Set((await startsOf(server, fn)).map(({ container }) => container))
      assert.equal(containers.size, 4)
      await until('its processes to be gone', () => processesOf(fn.fn.id).length === 0)
    })

    test('default: an exit code that is not zero is a failure of the function', async () => {
      const fn = await deploy(server, testFunction('shell'))
      for (const url of [fn.url, ...fn.triggers]) {
        const reply = await call(url, 'echo no answer; exit 3')
        assert.deepEqual(failureOf(reply), [502, 'function failed', 'exit code 3'])
      }
    })
  })

async function post(url: string, body: string | Uint8Array): Promise<Buffer> {
  const { status, bytes, text } = await call(url, body, { 'X-Foo': 'bar' })
  assert.equal(status, 200, text)
  return bytes
}

const PY_IMAGE = 'localhost/hello-py:latest'

/** An image of hello-py with a Python of its own, where the driver finds it, and the folder that deploys it. */
async function makeImage(
  { driver, engine }: Way,
  dir: string,
): Promise<AsyncDisposable & { folder: string }> {
  const { layer, command } = await pythonLayer(join(example('hello-py'), 'func.py'))
  const folder = join(dir, 'hello-py')
  await cp(example('hello-py'), folder, { recursive: true })
  await appendFile(join(folder, 'func.yaml'), `image: ${PY_IMAGE}\n`)
  if (driver !== 'docker') {
    const archive = await dockerArchive([PY_IMAGE], [layer], configOf([layer], { Entrypoint: command }))
    await writeFiles(join(dir, 'state/images'), { 'hello-py.tar': archive })
    return { folder, [Symbol.asyncDispose]: async () => {} }
  }
  const docker = new Docker(engine)
  await importLayer(docker, PY_IMAGE, layer, command)
  return { folder, [Symbol.asyncDispose]: () => docker.removeImage(PY_IMAGE, true) }
}

test('docs/drivers.md says that each driver runs every format', async () => {
  const page = await readFile(fileURLToPath(new URL('../../docs/drivers.md', import.meta.url)), 'utf8')
  const rows = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  const names = rows.find((cells) => WAYS.every(({ name }) => cells.includes(name))) as string[]
  const formats = rows.find(([, title]) => title === 'function formats') as string[]
  for (const { name } of WAYS)
    assert.deepEqual(formats[names.indexOf(name)]?.split(', ').sort(), [...FORMATS].sort(), name)
})
