import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { openCgroups } from '../../src/drivers/cgroup/cgroup.ts'
import { complete, growthOf, never } from '../../src/drivers/contract/support.ts'
import type { Container, ContainerSpec, Driver, Limit, RunResult, Stat } from '../../src/drivers/driver.ts'
import { buildRuntime } from '../../src/drivers/runtime/runtime.ts'
import { sandboxDriver } from '../../src/drivers/sandbox/sandbox.ts'
import { groupOf, readMounts } from '../../src/host/hierarchies.ts'
import { cannotTry, compile } from '../escapes/program.ts'
import { engineRig } from '../support/docker-rig.ts'
import { testEngine } from '../support/engine.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'

const MIB = 1024 ** 2

/** Milliseconds that a bomb may go on, whatever else fails. */
const LONGEST = 20_000

/** What all of this may take of the machine, the drivers' containers included where they are its descendants. */
const OUTER = { memory: 1024 * MIB, cpus: 0, pids: 600 }

interface Row {
  readonly name: string
  readonly skip: string | false
  /** Whether all of a container ends when one of its processes ran out of memory. */
  readonly endsTogether: boolean
  /** Bytes that a container may write besides its temporary folder. */
  readonly besides: number
  open(held: AsyncDisposableStack): Promise<Driver>
}

const docker = testEngine('docker')

const DRIVERS: readonly Row[] = [
  {
    name: 'sandbox',
    skip: cannotTry(),
    endsTogether: true,
    besides: 64 * MIB + 64 * 1024, // of /dev/shm, and of its socket’s folder
    async open(held) {
      const { path: dataDir } = held.use(await tempDir())
      const fdk = join(import.meta.dirname, '../../src/fdk')
      const runtime = await buildRuntime({ dir: join(dataDir, 'runtime'), fdk })
      await enterGroup(held)
      return held.use(await sandboxDriver({ dataDir, clock: systemClock, runtime }))
    },
  },
  {
    name: 'docker',
    skip: docker.skip || cannotTry(),
    // Under v1 the engine leaves the others alone, and so does the driver.
    endsTogether: false,
    besides: 64 * MIB + 64 * 1024,
    async open(held) {
      const rig = held.use(await engineRig(docker.host))
      return held.use(await rig.open({ holders: 0 }))
    },
  },
]

/** Moves this process into a group with limits, so that what it starts is in there too, and out of it again. */
async function enterGroup(held: AsyncDisposableStack): Promise<void> {
  const tree = await openCgroups({ name: `sluice-bombs-${process.pid}`, clock: systemClock })
  if (!tree) return
  const home = Object.values(groupOf('self', readMounts('/proc'), '/proc'))
  held.use(tree)
  const outer = held.use(await tree.make('outer', OUTER))
  outer.add(process.pid)
  held.defer(() => {
    for (const dir of new Set(home)) writeFileSync(join(dir, 'cgroup.procs'), `${process.pid}`)
  })
}

function testDriver({ name, skip, endsTogether, besides, open }: Row): void {
  describe(`bombs in the ${name} driver`, { skip }, () => {
    const held = new AsyncDisposableStack()
    let driver: Driver
    let bundle: string

    before(async () => {
      bundle = await makeBundle(held)
      driver = await open(held)
    })
    after(() => held.disposeAsync())

    /** Where the machine has no such limit, there is nothing to try, and much to break. */
    const testLimit = (limit: Limit, what: string, run: () => Promise<void>) =>
      test(what, async (t) => {
        if (driver.capabilities.limits.includes(limit)) return run()
        if (process.env['CI']) assert.fail(`${limit} is not limited here`)
        t.skip(`${limit} is not limited here: run as root where there are control groups`)
      })

    const drop = async (
      bomb: string,
      changes: Partial<ContainerSpec>,
      watch: (container: Container) => Promise<void>,
    ): Promise<void> => {
      const spec = specOf(bundle, bomb, changes)
      await using cookie = await driver.prepare(spec, never)
      await using container = await cookie.run(never)
      using _limit = systemClock.after(spec.timeout + 5_000, () => void container.stop('killed'))
      await watch(container)
      await container.stop('cancelled')
      assert.deepEqual(running(), [], 'nothing of it is left')
    }

    testLimit('memory', 'one that takes all memory is ended, and said to have run out of it', () =>
      drop('eat', { memory: 64 * MIB }, async (container) => {
        assertOutOfMemory((await complete(container)).result)
      }),
    )

    testLimit('memory', 'one whose children take all memory takes no more than its own', () =>
      drop('eat-in-children', { memory: 64 * MIB, timeout: 5_000 }, async (container) => {
        const { result } = await complete(container)
        if (endsTogether) assertOutOfMemory(result)
        else assert.ok(['killed', 'timeout'].includes(result.status), result.status)
      }),
    )

    testLimit(
      'pids',
      'one that forks without end has no more processes than it may, and leaves this one its own',
      () =>
        drop('fork', { pids: 64 }, async (container) => {
          void complete(container)
          await until('it to have all its processes', () => running().length >= 60, LONGEST)
          assert.ok(running().length <= 66, `${running().length} processes`) // and what set it up
          assert.equal(spawnSync('true').status, 0, 'another process')
          assert.equal((await container.stop('killed')).status, 'killed')
        }),
    )

    testLimit('cpu', 'one that spins on all processors gets no more than its share of one', () =>
      drop('spin', { cpus: 0.25 }, async (container) => {
        void complete(container)
        const share = await shareOf(container)
        assert.ok(share > 0.01 && share < 0.4, `${share} of a CPU`)
      }),
    )

    test('one that fills every folder gets no more than its temporary one', () =>
      drop('fill-disk', { tmpfsSize: 8 * MIB }, async (container) => {
        const bytes = Number((await complete(container)).stdout)
        assert.ok(bytes > 4 * MIB && bytes <= 8 * MIB + besides, `${bytes} bytes`)
      }))

    testLimit('memory', 'one that makes files without end has no more of them than its memory takes', () =>
      drop('make-names', { memory: 64 * MIB }, async (container) => {
        const { result, stdout } = await complete(container)
        if (result.status === 'success') assert.ok(Number(stdout) < 1_000_000, stdout)
        else assertOutOfMemory(result)
      }),
    )

    test('one that writes without end costs this process no memory, nor more log than it may write', () =>
      drop('flood', { logLimit: MIB, cpus: 0, timeout: 4 * LONGEST }, async (container) => {
        const growth = growthOf(systemClock)
        const [bytes, log] = await Promise.all([count(container.stdout), text(container.stderr)])
        assert.deepEqual([bytes, (await container.ended).status], [1024 * MIB, 'success'])
        assert.ok(log.length >= MIB && log.length < 1.01 * MIB, `${log.length} bytes of log`)
        assert.ok(growth.end() < 256 * MIB, 'what this process grew by')
      }))
  })
}

async function makeBundle(held: AsyncDisposableStack): Promise<string> {
  const dir = join(held.use(await tempDir()).path, 'bundle')
  await mkdir(dir)
  compile(join(import.meta.dirname, 'bombs.c'), join(dir, 'bombs'))
  await chmod(dir, 0o755)
  return dir
}

let made = 0

function specOf(bundle: string, bomb: string, changes: Partial<ContainerSpec>): ContainerSpec {
  return {
    id: `bomb-${process.pid}-${++made}`,
    mode: 'cold',
    source: { kind: 'bundle', dir: bundle },
    command: ['./bombs', bomb],
    env: { [MARK]: `${process.pid}` },
    labels: {},
    memory: 128 * MIB,
    cpus: 1,
    pids: 64,
    tmpfsSize: 0,
    network: 'none',
    startTimeout: 10_000,
    timeout: LONGEST,
    ...changes,
  }
}

/** Of the bombs' processes, in their environment. */
const MARK = 'SLUICE_BOMB'

function running(): string[] {
  return readdirSync('/proc').filter(
    (pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/environ`).includes(`${MARK}=${process.pid}\0`),
  )
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has ended
  }
}

function assertOutOfMemory({ status, oom, error }: RunResult): void {
  assert.deepEqual([status, oom, error], ['killed', true, 'out of memory error'])
}

/** Of one CPU's time, over two seconds or more. */
async function shareOf(container: Container): Promise<number> {
  let first: Stat | undefined
  for await (const stat of container.stats(AbortSignal.timeout(LONGEST))) {
    first ??= stat
    const ms = stat.timestamp.getTime() - first.timestamp.getTime()
    if (ms >= 2_000) return (cpuOf(stat) - cpuOf(first)) / 1e6 / ms
  }
  throw new Error('it was not measured for long enough')
}

/** Nanoseconds. */
const cpuOf = ({ metrics: { cpu_user = 0, cpu_kernel = 0 } }: Stat): number => cpu_user + cpu_kernel

async function count(stream: Readable): Promise<number> {
  let bytes = 0
  for await (const chunk of stream) bytes += chunk.length
  return bytes
}

for (const row of DRIVERS) testDriver(row)
