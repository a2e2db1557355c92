import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { chmod, chown, mkdir, open as openFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { cannotTry, compile } from '../../../test/escapes/program.ts'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { buildRigRuntime } from '../../../test/support/sandbox-rig.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { until } from '../../../test/support/until.ts'
import { systemClock } from '../../core/clock.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { readStat } from '../tree.ts'
import { type Identity, identify, writeRecord } from './folder.ts'
import { findBarrier } from './reach.ts'
import { sandboxDriver } from './sandbox.ts'
import { CLAIMS } from './users.ts'

/** Takes back that the kernel kills it when its parent dies, in a child too. */
const DEAF = `
#include <sys/prctl.h>
#include <unistd.h>
int main(void) {
  for (int child = fork() == 0, i = 0; i < 1; i++) prctl(PR_SET_PDEATHSIG, 0), child ? 0 : write(1, "ready", 5);
  for (;;) pause();
}`

const onlyRoot = process.getuid?.() === 0 ? false : 'run as root'

describe('a node of its own', { skip: canSandbox() }, () => {
  let shared: Awaited<ReturnType<typeof tempDir>>
  let runtime: Runtime
  let data: Awaited<ReturnType<typeof tempDir>>
  const open = () => sandboxDriver({ dataDir: data.path, clock: systemClock, runtime })
  const left = () => readdirSync(join(data.path, 'sandbox'))

  before(async () => {
    shared = await tempDir()
    runtime = await buildRigRuntime(shared.path)
  })
  after(() => shared[Symbol.asyncDispose]())
  beforeEach(async () => {
    data = await tempDir()
  })
  afterEach(() => data[Symbol.asyncDispose]())

  /** One with one container. `descriptor` is its descriptor 20. */
  const startNode = (
    then: string,
    {
      spec = `specOf('stubborn')`,
      user = {},
      descriptor = 'ignore',
      parts = '{}',
      before = 'true',
    }: NodeOptions = {},
  ) => {
    const here = (path: string) => JSON.stringify(join(import.meta.dirname, path))
    const script = `
      import { openSandboxDriver } from ${here('sandbox.ts')}
      import { findBubblewrap } from ${here('bubblewrap.ts')}
      import { openCgroups } from ${here('../cgroup/cgroup.ts')}
      import { seccompFilter } from ${here('seccomp.ts')}
      import { findUplink } from ${here('uplink.ts')}
      import { call, complete, never, specOf } from ${here('../contract/support.ts')}
      import { systemClock } from ${here('../../core/clock.ts')}
      const options = { dataDir: ${JSON.stringify(data.path)}, clock: systemClock, runtime: ${JSON.stringify(runtime)} }
      const parts = { findBubblewrap, findUplink, openCgroups, seccompFilter, ...${parts} }
      await using driver = await openSandboxDriver(options, parts)
      await using cookie = await driver.prepare(${spec}, never)
      const container = await cookie.run(never)
      ${then}`
    const between = Array.from({ length: 17 }, () => 'ignore' as const)
    return spawn(
      'sh',
      ['-c', `${before}; exec "$@"`, 'sh', process.execPath, '--input-type=module', '-e', script],
      {
        ...user,
        cwd: '/',
        stdio: ['ignore', 'pipe', 'inherit', ...between, descriptor],
      },
    )
  }

  /** Starts one, waits until its container is ready, and kills it. @returns how many of its processes still run */
  const killNode = async (then = '', options: NodeOptions = {}): Promise<() => number> => {
    const node = startNode(`${then}; console.log('ready'); await container.ended`, options)
    await once(createInterface(node.stdout as Readable), 'line')
    const started = descendants(node.pid as number)
    assert.ok(started.length >= 2, 'bubblewrap and the function')
    node.kill('SIGKILL')
    await once(node, 'exit')
    return () => started.filter(runs).length
  }

  test('is killed: its containers die with it, and the next one removes the rest', async () => {
    const running = await killNode()
    await until('the container to end', () => running() === 0)
    assert.equal(left().length, 1)
    assert.equal(claimsOf(data.path).length, onlyRoot ? 0 : 1)
    await using _next = await open()
    assert.deepEqual([left(), claimsOf(data.path)], [[], []])
  })

  test('is killed: a container that no longer hears of its parent’s death dies all the same', {
    skip: cannotTry(),
  }, async () => {
    const bundle = join(shared.path, 'deaf')
    await mkdir(bundle)
    await writeFile(`${bundle}.c`, DEAF)
    compile(`${bundle}.c`, join(bundle, 'deaf'))
    for (const path of [bundle, join(bundle, 'deaf')]) await chmod(path, 0o755)
    const source = `{ kind: 'bundle', dir: ${JSON.stringify(bundle)} }`
    const spec = `specOf('upper', { mode: 'cold', source: ${source}, command: ['./deaf'] })`
    const running = await killNode(`await new Promise((done) => container.stdout.once('data', done))`, {
      spec,
    })
    await until('the container to end', () => running() === 0)
    await using _next = await open()
  })

  test('is killed while a function has a way out: what carries its packets dies too', async (t) => {
    const next = await open()
    if (!next.capabilities.networks.includes('outbound')) return t.skip('no network of its own here')
    await next[Symbol.asyncDispose]()
    const running = await killNode('', { spec: `specOf('stubborn', { network: 'outbound' })` })
    await until('the container to end', () => running() === 0)
    await using _next = await open()
  })

  test('is killed while a container is paused: what outlives it, the next one ends', async (t) => {
    const next = await open()
    if (!next.capabilities.pause) return t.skip('no control groups: run as root')
    await next[Symbol.asyncDispose]()
    const running = await killNode('await container.pause(never)')
    await using _next = await open()
    assert.deepEqual([running(), left(), claimsOf(data.path)], [0, [], []])
  })

  test('is killed where there are no control groups: the same', async () => {
    const running = await killNode('', { parts: '{ openCgroups: async () => undefined }' })
    await until('the container to end', () => running() === 0)
    await using _next = await open()
    assert.deepEqual(left(), [])
  })

  describe('left a record', () => {
    let orphan: ChildProcess
    let folder: string
    let identity: Identity
    beforeEach(async () => {
      orphan = spawn('sleep', ['100'], { stdio: 'ignore' })
      identity = identify(orphan.pid as number) as Identity
      folder = join(data.path, 'sandbox', 'sl-orphan')
      await mkdir(folder, { recursive: true })
    })
    afterEach(async () => {
      if (runs(identity)) {
        orphan.kill('SIGKILL')
        await once(orphan, 'exit')
      }
    })

    test('of a process that still runs: the next one ends it', async () => {
      await writeRecord(folder, identity)
      await using _next = await open()
      assert.deepEqual([runs(identity), existsSync(folder)], [false, false])
    })

    test('of a pid that somebody else has now: the next one leaves it alone', async () => {
      await writeRecord(folder, { pid: orphan.pid as number, startTime: 1 })
      await using _next = await open()
      assert.deepEqual([runs(identity), existsSync(folder)], [true, false])
    })

    test('that is cut off: the next one removes it', async () => {
      await writeFile(join(folder, 'process.json'), '{"pid":')
      await using _next = await open()
      assert.deepEqual([runs(identity), existsSync(folder)], [true, false])
    })
  })

  test('may write core files: its functions may not', async () => {
    const spec = `specOf('upper', { mode: 'cold', command: ['sh', '-c', 'ulimit -c; ulimit -c unlimited; ulimit -c'] })`
    const node = startNode('console.log((await complete(container)).stdout)', {
      spec,
      before: 'ulimit -c unlimited',
    })
    assert.equal((await text(node.stdout as Readable)).trim(), '0\n0')
  })

  test('inherited a descriptor: it goes no further', async () => {
    await using file = await openFile(join(data.path, 'secret'), 'w')
    const spec = `specOf('upper', { mode: 'cold', command: ['ls', '-l', '/proc/self/fd'] })`
    const node = startNode('console.log((await complete(container)).stdout)', { spec, descriptor: file.fd })
    const listing = await text(node.stdout as Readable)
    assert.match(listing, / 20 -> \/dev\/null/)
    assert.doesNotMatch(listing, /secret/)
  })

  test('is not root: it runs functions as itself, and says what is missing', {
    skip: onlyRoot,
  }, async (t) => {
    const user = { uid: 54_321, gid: 54_321 }
    const barrier = await findBarrier(join(import.meta.dirname, 'sandbox.ts'), user)
    if (barrier) return t.skip(`chmod o+x ${barrier}`)
    await chown(data.path, user.uid, user.gid)
    const node = startNode(
      'console.log(JSON.stringify({ ...driver.capabilities, answer: (await call(container)).body }))',
      { user },
    )
    const { answer, isolates, limits, networks, warnings } = JSON.parse(await text(node.stdout as Readable))
    assert.equal(answer, 'still here')
    assert.deepEqual(isolates, ['files', 'processes', 'network', 'calls'])
    assert.deepEqual(networks, ['none', 'host'])
    assert.deepEqual(limits, ['disk'])
    assert.match(warnings.join('\n'), /No control groups can be made here/)
    assert.match(warnings.join('\n'), /Functions run as your user/)
    assert.match(warnings.join('\n'), /no network here.*: run the node as root\./)
  })
})

interface NodeOptions {
  readonly spec?: string
  readonly user?: { readonly uid?: number; readonly gid?: number }
  readonly descriptor?: number | 'ignore'
  readonly parts?: string
  /** Of the shell that starts it. */
  readonly before?: string
}

function runs({ pid, startTime }: Identity): boolean {
  const stat = readStat(pid)
  return stat?.startTime === startTime && !stat.zombie
}

function descendants(pid: number): Identity[] {
  const all = readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : [],
  )
  const below = (parent: number): Identity[] =>
    all.filter((stat) => stat.parent === parent).flatMap((stat) => [stat, ...below(stat.pid)])
  return below(pid)
}

/** The users that are taken for the containers of a data folder. */
function claimsOf(dataDir: string): string[] {
  if (!existsSync(CLAIMS)) return []
  return readdirSync(CLAIMS).filter((uid) => ownerOf(uid) === join(dataDir, 'sandbox'))
}

function ownerOf(uid: string): string | undefined {
  try {
    return readlinkSync(join(CLAIMS, uid))
  } catch {
    return undefined // given back in the meantime
  }
}
