import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { buildRigRuntime } from '../../../test/support/sandbox-rig.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { systemClock } from '../../core/clock.ts'
import type { ImageFolder } from '../archive/archive.ts'
import { openCgroups } from '../cgroup/cgroup.ts'
import { call, complete, never, processesLeft, specOf } from '../contract/support.ts'
import type { Container, ContainerSpec, Cookie, Driver } from '../driver.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { findBubblewrap } from './bubblewrap.ts'
import { openSandboxDriver, type Parts, type SandboxDriverOptions } from './sandbox.ts'
import { seccompFilter } from './seccomp.ts'
import { findUplink } from './uplink.ts'

const root = process.getuid?.() === 0
const onlyRoot = root ? false : 'run as root'
const real: Parts = { findBubblewrap, findUplink, openCgroups, seccompFilter }

describe('the sandbox driver', { skip: canSandbox() }, () => {
  let shared: Awaited<ReturnType<typeof tempDir>>
  let runtime: Runtime
  let data: Awaited<ReturnType<typeof tempDir>>
  let driver: Driver

  const open = (options: Partial<SandboxDriverOptions> = {}, parts: Partial<Parts> = {}): Promise<Driver> =>
    openSandboxDriver({ dataDir: data.path, clock: systemClock, runtime, ...options }, { ...real, ...parts })
  const prepare = (spec: ContainerSpec): Promise<Cookie> => driver.prepare(spec, never)
  const start = async (spec: ContainerSpec): Promise<Container> => (await prepare(spec)).run(never)
  const shell = (script: string, changes: Partial<ContainerSpec> = {}) =>
    specOf('upper', { mode: 'cold', command: ['sh', '-c', script], ...changes })
  const run = async (script: string, changes: Partial<ContainerSpec> = {}) =>
    complete(await start(shell(script, changes)))
  const folders = () => readdirSync(join(data.path, 'sandbox'))

  before(async () => {
    shared = await tempDir()
    runtime = await buildRigRuntime(shared.path)
  })
  after(() => shared[Symbol.asyncDispose]())
  beforeEach(async () => {
    data = await tempDir()
    driver = await open()
  })
  afterEach(async () => {
    await driver[Symbol.asyncDispose]()
    assert.deepEqual(processesLeft(), [])
    assert.deepEqual(folders(), [])
    await data[Symbol.asyncDispose]()
  })

  describe('what stands around a function', () => {
    test('it has no capabilities, gains none, and its calls are filtered', async (t) => {
      if (!seccompFilter(process.arch)) return t.skip(`no filter for ${process.arch}`)
      const { stdout } = await run('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status')
      const none = '0000000000000000'
      assert.deepEqual(
        Object.fromEntries(
          stdout
            .trim()
            .split('\n')
            .map((line) => line.split(/:\s*/)),
        ),
        {
          ...{ CapInh: none, CapPrm: none, CapEff: none, CapBnd: none, CapAmb: none },
          ...{ NoNewPrivs: '1', Seccomp: '2' },
        },
      )
    })

    test('every container is a user of its own on this machine, and none is root', {
      skip: onlyRoot,
    }, async () => {
      const specs = [specOf('echo'), specOf('echo', { user: '0:0' }), specOf('echo')]
      await Promise.all(specs.map(start))
      const uids = specs.map(({ id }) => ownersOf(id))
      for (const [owners] of uids) assert.ok(Number(owners) >= 200_000, `${owners}`)
      assert.equal(new Set(uids.flat()).size, 3)
    })

    test('from its first instruction on it is in its control group', async (t) => {
      if (!driver.capabilities.limits.includes('memory')) return t.skip('no control groups: run as root')
      const spec = shell('cat /proc/self/cgroup; read line')
      const container = await start(spec)
      const [groups] = await once(container.stdout, 'data')
      const pids = processesOf(spec.id)
      assert.ok(pids.length > 0)
      for (const pid of pids) assert.match(read(`/proc/${pid}/cgroup`), new RegExp(`/${spec.id}$`, 'm'))
      // It sees none above the one in which its namespaces were made.
      for (const line of String(groups).trim().split('\n')) assert.match(line, /:\/$/)
    })

    test('it sees no other process than its own, and the one that ends them with the node', async () => {
      const { stdout } = await run('echo $$; echo /proc/[0-9]*; cat /proc/1/comm')
      assert.equal(stdout, '2\n/proc/1 /proc/2\nbwrap\n')
    })

    test('it has no terminals: one function could take all that the machine has', async () => {
      const { stdout, stderr } = await run('ls /dev/pts; : < /dev/ptmx')
      assert.equal(stdout, '')
      assert.match(stderr, /ptmx/)
    })

    test('it has no network but its own loopback', async () => {
      const { stdout } = await run('tail -n +3 /proc/net/dev | cut -d: -f1')
      assert.equal(stdout.trim(), 'lo')
    })

    test('the settings of the kernel cannot be opened for writing', async () => {
      for (const file of ['sys/kernel/core_pattern', 'sys/vm/overcommit_memory', 'sys/kernel/hostname'])
        assert.match((await run(`: >> /proc/${file}`)).stderr, /Permission denied|Read-only/)
      assert.match((await run('grep " /proc/sys " /proc/mounts')).stdout, /^proc \/proc\/sys proc ro,/)
    })

    test('what container engines hide of /proc is hidden', async () => {
      for (const file of ['keys', 'timer_list', 'kcore'].filter((name) => existsSync(`/proc/${name}`)))
        assert.match((await run(`cat /proc/${file}`)).stderr, /Permission denied/)
    })

    test('no secret of its environment shows in a list of processes', async () => {
      await start(specOf('echo', { env: { PASSWORD: 'hunter2' } }))
      const lines = readdirSync('/proc')
        .filter((pid) => /^\d+$/.test(pid))
        .map((pid) => read(`/proc/${pid}/cmdline`))
      assert.equal(
        lines.some((line) => line.includes('/sluice/fdk/bootstrap.cjs')),
        true,
      )
      assert.deepEqual(
        lines.filter((line) => line.includes('hunter2')),
        [],
      )
    })

    test('nothing of how it was made is open in it', async () => {
      const { stdout } = await run('cd /proc/$$/fd; for fd in *; do echo "$fd $(readlink $fd)"; done')
      const more = stdout
        .trim()
        .split('\n')
        .filter((line) => !/^[012] /.test(line) && line.includes('/'))
      // What stands in the place of those that this process itself inherited.
      assert.deepEqual(
        more.filter((line) => !line.endsWith(' /dev/null')),
        [],
      )
    })

    test('the folder of its socket takes little, and cannot be replaced', async () => {
      const { stdout, stderr } = await run(
        'cd /tmp/iofs; dd if=/dev/zero of=x bs=1k count=1000; wc -c < x; cd /; mv /tmp/iofs /tmp/y || rm -r /tmp/iofs',
      )
      assert.equal(stdout.trim(), `${64 * 1024}`)
      assert.match(stderr, /No space left on device/)
      assert.match(stderr, /mv: .*busy/)
      assert.match(stderr, /rm: .*busy/)
    })

    test('it knows its own name, and those that it was given', async () => {
      const extraHosts = { 'db.example': '10.1.2.3' }
      const spec = shell('hostname; cat /etc/hosts', { extraHosts })
      const { stdout } = await complete(await start(spec))
      assert.match(stdout, new RegExp(`^${spec.id}\n127.0.0.1\tlocalhost\n`))
      assert.match(stdout, /10\.1\.2\.3\tdb\.example\n/)
    })

    test('with the machine’s network it can ask for names as the machine does', async () => {
      const { stdout } = await run('cat /etc/resolv.conf', { network: 'host' })
      assert.equal(stdout, read('/etc/resolv.conf'))
      assert.equal((await run('cat /etc/resolv.conf')).stdout, '')
    })
  })

  describe('what it runs', () => {
    test('a bundle that its user could not read is copied, and the copy goes with it', {
      skip: onlyRoot,
    }, async () => {
      const dir = join(data.path, 'private')
      await mkdir(join(dir, 'lib'), { recursive: true, mode: 0o700 })
      await writeFile(join(dir, 'func.js'), 'module.exports = () => require("./lib/a")', { mode: 0o600 })
      await writeFile(join(dir, 'lib', 'a.js'), 'module.exports = "read"', { mode: 0o600 })
      const spec = specOf('echo', { source: { kind: 'bundle', dir } })
      await using cookie = await prepare(spec)
      assert.equal((await call(await cookie.run(never))).body, 'read')
      const [folder] = folders()
      const { mode } = statSync(join(data.path, 'sandbox', folder as string, 'bundle', 'lib', 'a.js'))
      assert.equal(mode & 0o777, 0o640)
    })

    test('a bundle that it can read lies where it is', async () => {
      await using _cookie = await prepare(specOf('echo'))
      const [folder] = folders()
      assert.deepEqual(await readdir(join(data.path, 'sandbox', folder as string)), ['hosts'])
    })

    test('a volume that its user cannot use is refused, and says why', { skip: onlyRoot }, async () => {
      const source = join(data.path, 'volume')
      await mkdir(source, { mode: 0o700 })
      const volume = { source, target: '/data', readOnly: false }
      const refused = () =>
        assert.rejects(prepare(shell('true', { volumes: [volume] })), {
          fault: 'bad-spec',
          message: /writable for everybody/,
        })
      await refused()
      await chmod(source, 0o755)
      await refused()
      await chmod(source, 0o777)
      const { result } = await run('echo text > /data/file', { volumes: [volume] })
      assert.deepEqual([result.status, read(join(source, 'file'))], ['success', 'text\n'])
    })

    test('a volume takes no place that is the sandbox’s own', async () => {
      for (const target of ['/proc', '/proc/sys', '/dev', '/tmp', '/tmp/iofs', '/function/x'])
        await assert.rejects(
          prepare(shell('true', { volumes: [{ source: '/usr', target, readOnly: true }] })),
          { fault: 'bad-spec' },
        )
    })

    test('a volume may lie in the temporary folder', async () => {
      const volumes = [{ source: runtime.dir, target: '/tmp/data/x', readOnly: true }]
      assert.match((await run('ls /tmp/data/x; : > /tmp/data/x/y', { volumes })).stderr, /Read-only/)
    })

    test('a folder to work in that is not there is the spec’s fault', async () => {
      const spec = shell('true', { workDir: 'nowhere' })
      await assert.rejects(prepare(spec), {
        fault: 'bad-spec',
        message: /workDir must be a folder of the bundle/,
      })
      const { result } = await run('true', { workDir: '/nowhere' })
      assert.match(result.error ?? '', /Can't chdir to \/nowhere/)
    })

    test('a rootfs that is gone when it starts is no fault of the function', async () => {
      const images = await handMadeImage(data.path)
      await using other = await open({ images })
      const cookie = await other.prepare(specOf('echo', { source: { kind: 'image', ref: 'tiny' } }), never)
      await rm(join(data.path, 'rootfs'), { recursive: true })
      await assert.rejects(cookie.run(never), { fault: 'unavailable', message: /Can't find source path/ })
      assert.deepEqual(folders(), [])
    })

    test('a signal ends it with 128 and its number, as in a shell', async () => {
      const { result } = await run("sh -c 'kill -SEGV $$'; exit $?")
      assert.deepEqual([result.status, result.exitCode], ['error', 139])
    })

    test('an environment larger than the kernel takes ends as in a shell', async () => {
      const { result } = await run('true', { env: { HUGE: 'x'.repeat(1_000_000) } })
      assert.deepEqual([result.exitCode, result.error], [126, 'cannot run sh: Argument list too long'])
    })

    test('an image brings its own entry, environment and folder, and lacks what is mounted', async () => {
      await using other = await open({ images: await handMadeImage(data.path) })
      const cold: ContainerSpec = specOf('upper', { mode: 'cold', source: { kind: 'image', ref: 'tiny' } })
      const complete1 = async (spec: ContainerSpec) => {
        await using cookie = await other.prepare(spec, never)
        return await complete(await cookie.run(never))
      }
      assert.equal((await complete1(cold)).stdout, 'of the image in /work as 1000\n')
      const { stdout } = await complete1({ ...cold, command: ['/bin/busybox', 'ls', '/'], workDir: '/' })
      assert.equal(stdout, 'bin\ndev\netc\nproc\ntmp\nwork\n')
    })
  })

  describe('the end of one', () => {
    test('takes along what it left in the background', async () => {
      const { result } = await run('sleep 100 & setsid sleep 100 & exit 3')
      assert.equal(result.exitCode, 3)
      assert.deepEqual(processesLeft(), [])
    })

    test('a child that runs out of memory ends all of it, though its parent goes on', async (t) => {
      if (!driver.capabilities.limits.includes('memory')) return t.skip('no control groups: run as root')
      const hog = 'node -e "const all = []; for (;;) all.push(Buffer.alloc(1e6, 1))"'
      const { result } = await run(`${hog}; sleep 100`, { memory: 64 * 1024 ** 2 })
      assert.deepEqual([result.status, result.oom, result.error], ['killed', true, 'out of memory error'])
    })

    test('users for containers are given back', { skip: onlyRoot }, async () => {
      const uids = { first: 300_000, count: 1 }
      await using other = await open({ dataDir: await folderOf('one'), uids })
      const cookie = await other.prepare(shell('true'), never)
      await assert.rejects(other.prepare(shell('true'), never), { fault: 'no-room' })
      await cookie[Symbol.asyncDispose]()
      await using _next = await other.prepare(shell('true'), never)
    })
  })

  describe('on a machine that lacks', () => {
    test('bubblewrap it does not start, and says what to install', async () => {
      const none = open({}, { findBubblewrap: () => undefined })
      await assert.rejects(none, { fault: 'unavailable', message: /needs bubblewrap/ })
    })

    test('user namespaces it does not start, and says what bubblewrap says', async () => {
      const fake = join(data.path, 'bwrap')
      await writeFile(fake, '#!/bin/sh\necho "bwrap: No permissions to create new namespace" >&2\nexit 1\n', {
        mode: 0o755,
      })
      const none = open({ dataDir: await folderOf('other') }, { findBubblewrap: () => fake })
      await assert.rejects(none, {
        fault: 'unavailable',
        message: /here: No permissions to create new namespace$/,
      })
    })

    test('users for containers it does not start', { skip: onlyRoot }, async () => {
      const none = open({ dataDir: await folderOf('other'), uids: { first: 0, count: 10 } })
      await assert.rejects(none, { fault: 'unavailable', message: /without root/ })
    })

    test('a way to its folder it does not start, and names what is in the way', {
      skip: onlyRoot,
    }, async () => {
      const closed = await folderOf('closed')
      await chmod(closed, 0o700)
      const none = open({ dataDir: join(closed, 'data') })
      await assert.rejects(none, (error: Error) => error.message.includes(`pass through ${closed}:`))
    })

    test('what a network of its own takes, a function that asks for one is refused, and why', async () => {
      const findUplink = () => ({ missing: 'install slirp4netns' })
      await using other = await open({ dataDir: await folderOf('other') }, { findUplink })
      assert.deepEqual(other.capabilities.networks, ['none', 'host'])
      assert.match(other.capabilities.warnings.join(), /no network here.*: install slirp4netns\./)
      await assert.rejects(other.prepare(shell('true', { network: 'outbound' }), never), {
        fault: 'unsupported',
        message: 'the sandbox driver gives no network here: install slirp4netns',
      })
    })

    test('a device for networks it says what the uplink says', async () => {
      const fake = join(data.path, 'slirp4netns')
      await writeFile(fake, '#!/bin/sh\necho "open(/dev/net/tun): No such device" >&2\nexit 1\n', {
        mode: 0o755,
      })
      const tools = findUplink()
      if ('missing' in tools) throw new Error(tools.missing)
      const options = { dataDir: await folderOf('other') }
      await using other = await open(options, { findUplink: () => ({ ...tools, slirp: fake }) })
      await assert.rejects(other.prepare(shell('true', { network: 'outbound' }), never), {
        fault: 'unsupported',
        message: /network of its own: open\(\/dev\/net\/tun\): No such device$/,
      })
    })

    test('a filter for its processor it says so', async () => {
      await using other = await open({ dataDir: await folderOf('other') }, { seccompFilter: () => undefined })
      assert.equal(other.capabilities.isolates.includes('calls'), false)
      assert.match(other.capabilities.warnings.join(), /no filter of system calls/)
    })

    describe('control groups', () => {
      let other: Driver
      beforeEach(async () => {
        other = await open({ dataDir: await folderOf('other') }, { openCgroups: async () => undefined })
      })
      afterEach(() => other[Symbol.asyncDispose]())

      test('it says what that means', () => {
        const { limits, pause, measures, options, warnings } = other.capabilities
        assert.deepEqual(
          [limits, pause, measures, options.includes('cpuShares')],
          [['disk'], false, [], false],
        )
        assert.match(
          warnings.join(),
          /memory is not limited.*CPU time is not limited.*processes is not limited/,
        )
      })

      test('a call is answered, and the end takes everything along', async () => {
        await using cookie = await other.prepare(specOf('stubborn'), never)
        const container = await cookie.run(never)
        assert.equal((await call(container)).body, 'still here')
        assert.equal((await container.stop('timeout')).status, 'timeout')
        assert.deepEqual(processesLeft(), [])
      })

      test('one cannot be paused, and has no samples', async () => {
        await using cookie = await other.prepare(specOf('echo'), never)
        const container = await cookie.run(never)
        await assert.rejects(container.pause(never), { fault: 'unsupported' })
        for await (const _ of container.stats(never)) assert.fail('a sample')
      })
    })
  })

  const folderOf = async (name: string) => {
    const dir = join(data.path, name)
    await mkdir(dir, { mode: 0o711 })
    return dir
  }
})

/** An image of a shell, which has none of the folders that things are mounted at. */
async function handMadeImage(dir: string): Promise<ImageFolder> {
  const rootfs = join(dir, 'rootfs')
  await mkdir(join(rootfs, 'bin'), { recursive: true, mode: 0o755 })
  await mkdir(join(rootfs, 'work'), { mode: 0o755 })
  await copyFile('/bin/busybox', join(rootfs, 'bin', 'busybox'))
  await symlink('busybox', join(rootfs, 'bin', 'sh'))
  const config = {
    entrypoint: ['sh', '-c'],
    cmd: ['echo "$GREETING in $(/bin/busybox pwd) as $(/bin/busybox id -u)"'],
    env: { GREETING: 'of the image' },
    workDir: '/work',
    user: '0',
  }
  return { open: async () => ({ rootfs, config }) }
}

function processesOf(id: string): string[] {
  const pids = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid))
  return pids.filter((pid) => read(`/proc/${pid}/root/etc/hosts`).includes(id))
}

/** The users of a container's processes on this machine. */
function ownersOf(id: string): string[] {
  return [...new Set(processesOf(id).map((pid) => String(statSync(`/proc/${pid}`).uid)))]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
