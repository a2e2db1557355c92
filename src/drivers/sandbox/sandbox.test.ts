import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { sandboxSuite } from '../../../test/support/sandbox-suite.ts'
import type { ImageFolder } from '../archive/archive.ts'
import { call, complete, never, specOf } from '../contract/support.ts'
import type { ContainerSpec } from '../driver.ts'
import { seccompFilter } from './seccomp.ts'

const root = process.getuid?.() === 0
const onlyRoot = root ? false : 'run as root'

describe('the sandbox driver', { skip: canSandbox() }, () => {
  const suite = sandboxSuite()
  const { folders, open, prepare, run, shell, start } = suite

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
      if (!suite.driver.capabilities.limits.includes('memory'))
        return t.skip('no control groups: run as root')
      const spec = shell('cat /proc/self/cgroup; read line')
      const container = await start(spec)
      const [groups] = await once(container.stdout, 'data')
      // One that has ended meanwhile has none.
      const all = processesOf(spec.id)
        .map((pid) => read(`/proc/${pid}/cgroup`))
        .filter((text) => text !== '')
      assert.ok(all.length > 0)
      for (const text of all) assert.match(text, new RegExp(`/${spec.id}$`, 'm'))
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
      const dir = join(suite.dataDir, 'private')
      await mkdir(join(dir, 'lib'), { recursive: true, mode: 0o700 })
      await writeFile(join(dir, 'func.js'), 'module.exports = () => require("./lib/a")', { mode: 0o600 })
      await writeFile(join(dir, 'lib', 'a.js'), 'module.exports = "read"', { mode: 0o600 })
      const spec = specOf('echo', { source: { kind: 'bundle', dir } })
      await using cookie = await prepare(spec)
      assert.equal((await call(await cookie.run(never))).body, 'read')
      const [folder] = folders()
      const { mode } = statSync(join(suite.dataDir, 'sandbox', folder as string, 'bundle', 'lib', 'a.js'))
      assert.equal(mode & 0o777, 0o640)
    })

    test('a bundle that it can read lies where it is', async () => {
      await using _cookie = await prepare(specOf('echo'))
      const [folder] = folders()
      assert.deepEqual(await readdir(join(suite.dataDir, 'sandbox', folder as string)), ['hosts'])
    })

    test('a volume that its user cannot use is refused, and says why', { skip: onlyRoot }, async () => {
      const source = join(suite.dataDir, 'volume')
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
      const volumes = [{ source: suite.runtime.dir, target: '/tmp/data/x', readOnly: true }]
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
      const images = await handMadeImage(suite.dataDir)
      await using other = await open({ images })
      const cookie = await other.prepare(specOf('echo', { source: { kind: 'image', ref: 'tiny' } }), never)
      await rm(join(suite.dataDir, 'rootfs'), { recursive: true })
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
      await using other = await open({ images: await handMadeImage(suite.dataDir) })
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
