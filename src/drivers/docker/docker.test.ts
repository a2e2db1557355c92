import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'
import { type EngineRig, engineRig } from '../../../test/support/docker-rig.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { type Gate, openGate } from '../../../test/support/engine-gate.ts'
import { collectGarbage } from '../../../test/support/garbage.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { until } from '../../../test/support/until.ts'
import { virtualClock } from '../../core/clock.ts'
import { call, complete, never, specOf } from '../contract/support.ts'
import { type ContainerSpec, type Driver, DriverError } from '../driver.ts'
import { api } from './api.ts'
import { openEngine } from './engine.ts'
import { ownerOf } from './reap.ts'
import { sampleRemotely } from './samples.ts'

const { host, skip } = testEngine('docker')

if (skip) test('the docker driver', { skip }, () => {})
else {
  const rig = await engineRig(host)
  after(() => rig[Symbol.asyncDispose]())
  suite(rig)
}

const shell = (script: string, changes: Partial<ContainerSpec> = {}) =>
  specOf('upper', { mode: 'cold', command: ['/bin/sh', '-c', script], ...changes })

function suite(rig: EngineRig): void {
  const { docker } = rig
  const inspect = (id: string) => docker.inspect(`sluice-${id}`)
  const gone = (id: string) =>
    until(`${id} to be removed`, () =>
      inspect(id).then(
        () => false,
        () => true,
      ),
    )

  const running = async (count: number) => {
    const all = await docker.containers(`sluice=${ownerOf(join(rig.dataDir, 'docker'))}`)
    return all.filter(({ State }) => State === 'running').length >= count
  }

  describe('what a container is made with', () => {
    test('it is confined, limited and labelled', async () => {
      await using driver = await rig.open({ holders: 0 })
      const spec = specOf('echo', {
        memory: 100 * 1024 ** 2,
        cpus: 0.5,
        labels: { team: 'blue', sluice: 'x' },
      })
      await using _cookie = await driver.prepare(spec, never)
      const { Config, HostConfig, Name } = await inspect(spec.id)
      assert.equal(Name, `/sluice-${spec.id}`)
      assert.equal(Config.User, '1000:1000')
      assert.equal(Config.Labels['sluice'], ownerOf(join(rig.dataDir, 'docker')))
      assert.equal(Config.Labels['sluice.label.team'], 'blue')
      assert.equal(Config.Labels['sluice.label.sluice'], 'x')
      assert.deepEqual(
        {
          network: HostConfig.NetworkMode,
          readOnly: HostConfig.ReadonlyRootfs,
          dropped: HostConfig.CapDrop,
          security: HostConfig.SecurityOpt,
          privileged: HostConfig.Privileged,
          pids: HostConfig.PidsLimit,
          memory: HostConfig.Memory,
          swap: HostConfig.MemorySwap,
          cpus: HostConfig.NanoCpus,
          log: HostConfig.LogConfig?.Type,
          tmp: HostConfig.Tmpfs,
        },
        {
          network: 'none',
          readOnly: true,
          dropped: ['ALL'],
          security: ['no-new-privileges'],
          privileged: false,
          pids: 256,
          memory: 100 * 1024 ** 2,
          swap: 100 * 1024 ** 2,
          cpus: 5e8,
          log: 'none',
          tmp: {
            '/tmp': 'rw,nosuid,nodev,exec,mode=1777,size=67108864',
            '/tmp/iofs': 'rw,nosuid,nodev,noexec,mode=1777,size=65536',
          },
        },
      )
    })

    test('its temporary folder takes what it may, and nothing else can be written', async () => {
      await using driver = await rig.open({ holders: 0 })
      const script = 'dd if=/dev/zero of=/tmp/x bs=1M count=8; echo; touch /x /function/x /etc/x /bin/x'
      await using cookie = await driver.prepare(shell(script, { tmpfsSize: 4 * 1024 ** 2 }), never)
      const { stderr } = await complete(await cookie.run(never))
      assert.match(stderr, /No space left on device/)
      assert.equal(stderr.match(/Read-only file system/g)?.length, 4)
    })

    test('a volume that its image declares has a size, and is not on the disk', async () => {
      const image = await rig.makeImage(`localhost/docker-volume-${process.pid}`, ['VOLUME /data'])
      await using driver = await rig.open({ holders: 0 })
      const script = 'dd if=/dev/zero of=/data/x bs=64k count=100 2>/dev/null || echo full; wc -c </data/x'
      const source = { kind: 'image', ref: image } as const
      const spec = specOf('x', {
        mode: 'cold',
        command: ['/bin/sh', '-c', script],
        source,
        tmpfsSize: 1024 ** 2,
      })
      await using cookie = await driver.prepare(spec, never)
      const { Mounts } = await inspect(spec.id)
      assert.deepEqual(
        Mounts.filter(({ Type }) => Type === 'volume'),
        [],
      )
      assert.equal((await complete(await cookie.run(never))).stdout, `full\n${1024 ** 2}\n`)
    })

    test('what the engine refuses is told in its words', async () => {
      await using driver = await rig.open({ holders: 0 })
      const tooLittle = specOf('echo', { memory: 1024 ** 2 })
      await assert.rejects(driver.prepare(tooLittle, never), (error) => {
        assert.ok(error instanceof DriverError)
        assert.equal(error.fault, 'bad-spec')
        assert.match(
          error.message,
          /^Failed to create container from task configuration '.*memory limit.*'$/i,
        )
        return true
      })
      assert.deepEqual(await rig.left(), [])
    })
  })

  describe('what is left', () => {
    test('a driver removes what one that was killed left, and nothing of another', async () => {
      await using other = await tempDir()
      await using stranger = await rig.open({ dataDir: other.path, holders: 0 })
      await using kept = await stranger.prepare(specOf('echo'), never)
      // It is never closed: as if its node had been killed.
      const killed = await rig.open({ holders: 1 })
      const spec = specOf('echo')
      await (await killed.prepare(spec, never)).run(never)
      assert.ok((await rig.left()).length >= 2)
      await using _next = await rig.open({ holders: 0 })
      assert.deepEqual(await rig.left(), [])
      assert.equal((await call(await kept.run(never), 'hello')).body, 'hello')
      await killed[Symbol.asyncDispose]()
    })

    test('an ended container is removed before its cookie is closed', async () => {
      await using driver = await rig.open({ holders: 0 })
      const spec = specOf('echo')
      await using cookie = await driver.prepare(spec, never)
      const container = await cookie.run(never)
      await container.stop('killed')
      await gone(spec.id)
    })

    test('aborting while the engine creates leaves nothing', async () => {
      await using gate = await openGate(host)
      await using driver = await rig.open({ host: gate.host, holders: 0 })
      const abort = new AbortController()
      gate.fate = (request) => {
        if (request.endsWith('/create')) abort.abort()
        return 'pass'
      }
      await assert.rejects(driver.prepare(specOf('echo'), abort.signal), { name: 'AbortError' })
      assert.ok(gate.requests.includes('POST /containers/create'))
      assert.deepEqual(await rig.left(), [])
    })
  })

  describe('network holders', () => {
    test('a container joins a network made ahead of time, alone', async () => {
      await using driver = await rig.open({ holders: 1 })
      await until('a holder', () => running(1))
      const [one, two] = [specOf('echo'), specOf('echo')]
      const network = async (spec: ContainerSpec) => (await inspect(spec.id)).HostConfig.NetworkMode ?? ''
      {
        await using first = await driver.prepare(one, never)
        await using _second = await driver.prepare(two, never)
        const joined = await network(one)
        assert.match(joined, /^container:/)
        assert.notEqual(await network(two), joined)
        assert.equal((await call(await first.run(never), 'hello')).body, 'hello')
      }
      await gone(one.id)
      await until('another holder', () => running(1))
    })

    test('closing the driver removes them', async () => {
      const driver = await rig.open({ holders: 2 })
      await until('a holder', () => running(1))
      await driver[Symbol.asyncDispose]()
      assert.deepEqual(await rig.left(), [])
    })
  })

  describe('an engine in trouble', () => {
    /** Fails the first requests that match. */
    const failing = (gate: Gate, what: RegExp, fate: 'lose' | 500, times: number) => {
      let left = times
      gate.fate = (request) => {
        if (!what.test(request) || left-- <= 0) return 'pass'
        return fate === 'lose' ? 'lose' : { status: 500, message: 'it stumbled' }
      }
    }
    const throughGate = async (
      body: (gate: Gate, driver: Driver) => Promise<void>,
      changes: Parameters<EngineRig['open']>[0] = {},
    ) => {
      await using gate = await openGate(host)
      await using driver = await rig.open({ host: gate.host, holders: 0, ...changes })
      await body(gate, driver)
    }

    for (const [what, pattern] of [
      ['created', /POST .*\/create$/],
      ['started', /POST .*\/start$/],
      ['waited for', /POST .*\/wait$/],
      ['removed', /^DELETE /],
    ] as const)
      test(`answering 500 twice when a container is ${what} harms nobody`, () =>
        throughGate(async (gate, driver) => {
          failing(gate, pattern, 500, 2)
          await using cookie = await driver.prepare(shell('cat'), never)
          const { result, stdout } = await complete(await cookie.run(never), 'hello')
          assert.deepEqual([result.status, stdout], ['success', 'hello'])
          await cookie[Symbol.asyncDispose]()
          assert.ok(gate.requests.filter((request) => pattern.test(request)).length >= 3)
          assert.deepEqual(await rig.left(), [])
        }))

    for (const [what, pattern] of [
      ['create', /POST .*\/create$/],
      ['start', /POST .*\/start$/],
    ] as const)
      test(`an answer to ${what} that is lost does not make two`, () =>
        throughGate(async (gate, driver) => {
          failing(gate, pattern, 'lose', 1)
          await using cookie = await driver.prepare(shell('echo once'), never)
          assert.equal((await complete(await cookie.run(never))).stdout, 'once\n')
        }))

    test('one that hangs holds up nobody who aborts', () =>
      throughGate(async (gate, driver) => {
        const abort = new AbortController()
        gate.fate = (request) => {
          if (!request.endsWith('/json')) return 'pass'
          queueMicrotask(() => abort.abort())
          return 'hang'
        }
        await assert.rejects(driver.prepare(specOf('echo'), abort.signal), { name: 'AbortError' })
        gate.fate = () => 'pass'
      }))

    test('one that hangs is gone after two minutes', async () => {
      await using gate = await openGate(host)
      const clock = virtualClock()
      using engine = await openEngine({ host: gate.host, clock, random: () => 0 })
      gate.fate = () => 'hang'
      const asking = engine.ask('tell', api.containers())
      await until('the question', () => gate.requests.some((request) => request.includes('containers')))
      clock.advance(120_000)
      await assert.rejects(asking, { name: 'DriverError', fault: 'engine-gone' })
    })

    test('one that is not there is told in one line', async () => {
      await assert.rejects(rig.open({ host: 'unix:///no/such.sock' }), {
        fault: 'unavailable',
        message: /^no Docker engine answers at unix:\/\/\/no\/such\.sock: .*ENOENT/,
      })
    })

    test('one that does not share the files runs images that read stdin, and says so', async () => {
      await using gate = await openGate(host)
      await using elsewhere = await tempDir()
      await writeFile(join(elsewhere.path, 'token'), 'another')
      gate.rewrite = (body) => body.replace(/"Source":"[^"]*canary[^"]*"/, `"Source":"${elsewhere.path}"`)
      const image = await rig.makeImage(`localhost/docker-test-${process.pid}`)
      await using driver = await rig.open({ host: gate.host })
      const { modes, options, runs, warnings } = driver.capabilities
      assert.deepEqual([runs, modes], [['image'], ['cold']])
      assert.ok(!options.includes('volumes'))
      assert.match(warnings.join(), /does not share this machine's folders \(it sees other files\)/)
      const spec = specOf('x', { mode: 'cold', source: { kind: 'image', ref: image } })
      await using cookie = await driver.prepare(spec, never)
      assert.equal((await complete(await cookie.run(never), 'hello\n')).stdout, 'hello from teal in /srv\n')
    })
  })

  test('output that nobody reads does not fill our memory', async () => {
    await using driver = await rig.open({ holders: 0 })
    await using cookie = await driver.prepare(shell('dd if=/dev/zero bs=1M count=200'), never)
    const container = await cookie.run(never)
    const held = () => process.memoryUsage().arrayBuffers
    await until('output', () => container.stdout.readableLength > 0)
    assert.ok(held() < 64 * 1024 ** 2, `${held()} bytes`)
    let bytes = 0
    for await (const chunk of container.stdout) bytes += chunk.length
    assert.equal(bytes, 200 * 1024 ** 2)
    collectGarbage() // what was read and let go is not held
    assert.ok(held() < 64 * 1024 ** 2, `${held()} bytes`)
    assert.equal((await container.ended).status, 'success')
    assert.match(await text(container.stderr), /200\+0 records out/)
  })

  test('an image that is deleted between prepare and run runs all the same', async () => {
    const image = await rig.makeImage(`localhost/docker-gone-${process.pid}`)
    await using driver = await rig.open({ holders: 0 })
    const spec = specOf('x', { mode: 'cold', source: { kind: 'image', ref: image } })
    await using cookie = await driver.prepare(spec, never)
    await docker.removeImage(`${image}:latest`, true)
    assert.equal((await complete(await cookie.run(never), 'hi\n')).stdout, 'hi from teal in /srv\n')
  })

  test("the engine's own stream measures the same", async () => {
    await using driver = await rig.open({ holders: 0 })
    const spec = specOf('echo')
    await using cookie = await driver.prepare(spec, never)
    const container = await cookie.run(never)
    using engine = await openEngine({ host, clock: virtualClock(), random: () => 0 })
    const { Id: id } = await inspect(spec.id)
    const options = { engine, id, ownNetwork: true, clock: virtualClock(), ended: container.ended }
    for await (const { metrics } of sampleRemotely(options).stream(never)) {
      assert.deepEqual(Object.keys(metrics).sort(), [...driver.capabilities.measures].sort())
      assert.equal(metrics['mem_limit'], spec.memory)
      assert.ok((metrics['mem_usage'] ?? 0) > 1024 ** 2)
      assert.ok((metrics['cpu_user'] ?? 0) > 1e6)
      break
    }
  })

  test('a long path of the data folder is no hindrance', async () => {
    await using parent = await tempDir()
    const dataDir = join(parent.path, 'x'.repeat(100))
    await mkdir(dataDir)
    await using driver = await rig.open({ dataDir, holders: 0 })
    await using cookie = await driver.prepare(specOf('echo'), never)
    assert.equal((await call(await cookie.run(never), 'hello')).body, 'hello')
  })
}
