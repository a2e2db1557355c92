import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { until } from '../../../test/support/until.ts'
import { systemClock } from '../../core/clock.ts'
import {
  call,
  complete,
  descriptors,
  descriptorsSince,
  never,
  processesLeft,
  specOf,
} from '../contract/support.ts'
import { type Container, type ContainerSpec, type Cookie, type Driver, StartError } from '../driver.ts'
import { readStat } from '../tree.ts'
import { processDriver } from './process.ts'
import { writeRecord } from './record.ts'

const bootstrap = join(import.meta.dirname, '../../fdk/bootstrap.cjs')
const openDriver = (dataDir: string) =>
  processDriver({ dataDir, node: process.execPath, bootstrap, clock: systemClock })

let data: Awaited<ReturnType<typeof tempDir>>
let driver: Driver
const prepare = (spec: ContainerSpec): Promise<Cookie> => driver.prepare(spec, never)
const start = async (spec: ContainerSpec): Promise<Container> => (await prepare(spec)).run(never)
const shell = (script: string, changes: Partial<ContainerSpec> = {}) =>
  specOf('upper', { mode: 'cold', command: ['sh', '-c', script], ...changes })
const left = () => readdir(join(data.path, 'process'))

beforeEach(async () => {
  data = await tempDir()
  driver = await openDriver(data.path)
})
afterEach(async () => {
  await driver[Symbol.asyncDispose]()
  assert.deepEqual(processesLeft(), [])
  assert.deepEqual(await left(), [])
  await data[Symbol.asyncDispose]()
})

describe('what it runs', () => {
  test('an image is refused with the name of the driver that runs it', async () => {
    const spec: ContainerSpec = { ...specOf('echo'), source: { kind: 'image', ref: 'hello' } }
    await assert.rejects(prepare(spec), {
      fault: 'unsupported',
      message: /the docker and sandbox drivers do/,
    })
  })

  test('a bundle that is not there is refused', async () => {
    const spec: ContainerSpec = { ...specOf('echo'), source: { kind: 'bundle', dir: '/no/such/folder' } }
    await assert.rejects(prepare(spec), { fault: 'bad-spec', message: /cannot use the bundle/ })
  })

  test('a program that is not there ends as in a shell', async () => {
    const { result } = await complete(
      await start(specOf('upper', { mode: 'cold', command: ['no-such-program'] })),
    )
    assert.deepEqual([result.status, result.exitCode], ['error', 127])
  })

  test('an environment too large to start anything is a fault of the start, and leaves nothing', async () => {
    const env = { HUGE: 'x'.repeat(1_000_000) }
    await assert.rejects(start(shell('true', { env })), { name: 'DriverError', fault: 'no-room' })
  })

  test('a long path of the data folder is no hindrance', async () => {
    await using other = await openDriver(join(data.path, 'x'.repeat(100)))
    await using cookie = await other.prepare(specOf('echo'), never)
    assert.equal((await call(await cookie.run(never), 'hello')).body, 'hello')
  })

  test('it warns that there is no boundary', () => {
    assert.equal(driver.capabilities.isolation, 'none')
    assert.match(driver.capabilities.warnings[0] ?? '', /for development/)
  })
})

test('what runs in a container of another driver runs here: programs, workers, files everywhere', async () => {
  const script = `
    const { execFileSync } = require('node:child_process')
    const { writeFileSync, rmSync } = require('node:fs')
    const { Worker } = require('node:worker_threads')
    const path = '/tmp/sl-process-test-' + process.pid
    writeFileSync(path, 'x')
    rmSync(path)
    execFileSync('true')
    new Worker('0', { eval: true }).on('exit', (code) => console.log('worker', code))`
  const { stdout, stderr } = await complete(
    await start(specOf('upper', { mode: 'cold', command: ['node', '-e', script] })),
  )
  assert.deepEqual([stdout, stderr], ['worker 0\n', ''])
})

test('a crash writes no memory to a file', async () => {
  assert.equal((await complete(await start(shell('ulimit -c')))).stdout, '0\n')
})

describe('an attack on the socket', () => {
  const attack = async (script: string) => {
    const command = ['sh', '-c', `cd "$(dirname "\${FN_LISTENER#unix:}")"; ${script}; sleep 100`]
    await assert.rejects(start(specOf('upper', { command })), (error) => {
      assert.ok(error instanceof StartError)
      assert.deepEqual([error.fault, error.result.status], ['bad-socket', 'killed'])
      return true
    })
  }

  test('a link elsewhere is refused', () => attack('ln -s /run/some.sock lsnr.sock'))
  test('a link in two steps is refused', () => attack('ln -s /run/some.sock b; ln -s b lsnr.sock'))
  test('a named pipe is refused', () => attack('mkfifo lsnr.sock'))
})

describe('stopping', () => {
  /** Starts a script that prints the pid of something it started. */
  const startTree = async (script: string) => {
    const container = await start(shell(script))
    const lines = createInterface(container.stdout)
    const [pid] = await once(lines, 'line')
    return { container, pid: Number(pid) }
  }
  const runs = (pid: number) => readStat(pid)?.zombie === false

  test('takes along what the container started', async () => {
    const { container, pid } = await startTree('sleep 100 & echo $!; wait')
    await container.stop('killed')
    assert.equal(runs(pid), false)
  })

  test('takes along what moved to a session of its own', async () => {
    const { container, pid } = await startTree('setsid sleep 100 & echo $!; wait')
    await container.stop('killed')
    assert.equal(runs(pid), false)
  })

  test('takes along a daemon that left its family behind', async () => {
    const { container, pid } = await startTree('(setsid sh -c "sleep 100 & echo \\$!" &) ; read never')
    await until('its parent to end', () => readStat(pid)?.parent === 1)
    await container.stop('killed')
    assert.equal(runs(pid), false)
  })

  test('the end of a container ends what it left in the background', async () => {
    const { container, pid } = await startTree('sleep 100 & echo $!')
    assert.equal((await container.ended).status, 'success')
    assert.equal(runs(pid), false)
  })

  test('pausing halts every process of it, and resuming sets them going', async () => {
    const { container, pid } = await startTree('sleep 100 & echo $!; wait')
    const halted = () => readStat(pid)?.stopped
    await container.pause(never)
    await until('the process to halt', halted)
    await container.resume(never)
    await until('the process to go on', () => !halted())
  })

  test('fifty containers leave no descriptor', async () => {
    const held = descriptors()
    const one = async (spec: ContainerSpec) => {
      await using cookie = await prepare(spec)
      const container = await cookie.run(never)
      if (spec.mode === 'cold') await complete(container)
    }
    for (let i = 0; i < 50; i += 10)
      await Promise.all(Array.from({ length: 10 }, (_, i) => one(i === 0 ? specOf('echo') : shell('true'))))
    assert.deepEqual(descriptorsSince(held), [])
  })
})

test('a descriptor that the node inherited goes no further', async () => {
  await using file = await open(join(data.path, 'secret'), 'w')
  const spec = `specOf('upper', { mode: 'cold', command: ['ls', '-l', '/proc/self/fd'] })`
  const node = startNode(spec, 'container.stdout.pipe(process.stdout); await container.ended', file.fd)
  const listing = await text(node.stdout)
  assert.match(listing, / 20 -> /)
  assert.doesNotMatch(listing, /secret/)
  assert.match(listing, / 20 -> \/dev\/null/)
})

describe('after the node was killed', () => {
  test('its containers are gone, and the next one removes their folders', async () => {
    const node = startNode("specOf('stubborn')", "console.log('ready'); await container.ended")
    await once(createInterface(node.stdout), 'line')
    const [record] = (await left()).filter((name) => name.endsWith('.json'))
    assert.ok(record)
    const { pid } = JSON.parse(await readFile(join(data.path, 'process', record), 'utf8'))
    assert.ok(readStat(pid))
    node.kill('SIGKILL')
    await once(node, 'exit')
    await using _next = await openDriver(data.path)
    assert.equal(readStat(pid)?.zombie ?? true, true)
    assert.deepEqual(await left(), [])
  })

  test('the next one ends a container that outlived it', async () => {
    await using orphan = startOrphan()
    const dir = await mkdtemp(join(tmpdir(), 'sl-'))
    await writeRecord(join(data.path, 'process'), 'orphan', orphan.pid, dir)
    await using _next = await openDriver(data.path)
    await orphan.exited
    assert.equal(existsSync(dir), false)
    assert.deepEqual(await left(), [])
  })

  test('the next one leaves a process alone that only has the same pid', async () => {
    await using orphan = startOrphan()
    const root = join(data.path, 'process')
    const record = { pid: orphan.pid, startTime: 1, dir: join(root, 'sl-gone00') }
    await writeFile(join(root, 'orphan.json'), JSON.stringify(record))
    await using _next = await openDriver(data.path)
    assert.equal(readStat(orphan.pid)?.zombie, false)
    assert.deepEqual(await left(), [])
  })

  test('a record never makes it remove a folder that is no container of its own', async () => {
    await using precious = await tempDir()
    const root = join(data.path, 'process')
    await writeFile(join(precious.path, 'file'), '')
    const record = {
      pid: process.pid,
      startTime: 1,
      dir: join(precious.path, '..', 'x', '..', precious.path),
    }
    await writeFile(join(root, 'a.json'), JSON.stringify(record))
    await writeFile(join(root, 'b.json'), JSON.stringify({ ...record, dir: data.path.slice(0, -1) }))
    await writeFile(join(root, 'c.json'), '{"pid":')
    await using _next = await openDriver(data.path)
    assert.deepEqual(await readdir(precious.path), ['file'])
  })
})

function startOrphan() {
  const child = spawn('sleep', ['100'], { detached: true, stdio: 'ignore' })
  const exited = once(child, 'exit')
  return {
    pid: child.pid as number,
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** A node of its own with one container. `inherited` is its descriptor 20. */
function startNode(spec: string, then: string, inherited: number | 'ignore' = 'ignore') {
  const here = (path: string) => JSON.stringify(join(import.meta.dirname, path))
  const script = `
    import { processDriver } from ${here('process.ts')}
    import { specOf, never } from ${here('../contract/support.ts')}
    import { systemClock } from ${here('../../core/clock.ts')}
    const options = { dataDir: ${JSON.stringify(data.path)}, node: process.execPath, clock: systemClock }
    await using driver = await processDriver({ ...options, bootstrap: ${JSON.stringify(bootstrap)} })
    const container = await (await driver.prepare(${spec}, never)).run(never)
    ${then}`
  const between = Array.from({ length: 17 }, () => 'ignore' as const)
  const stdio = ['ignore', 'pipe', 'inherit', ...between, inherited] as const
  const node = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: [...stdio] })
  return Object.assign(node, { stdout: node.stdout as Readable })
}
