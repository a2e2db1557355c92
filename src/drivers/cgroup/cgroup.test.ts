import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { until } from '../../../test/support/until.ts'
import { systemClock } from '../../core/clock.ts'
import { groupOf, readMounts } from '../../host/hierarchies.ts'
import { DriverError } from '../driver.ts'
import { type CgroupTree, openCgroups, readCgroup } from './cgroup.ts'

const MEBI = 1024 * 1024
const FREE = { memory: 0, cpus: 0, pids: 0 }

/** The kernel's own trees, of which a part is hidden, so that one machine shows what others have. */
const MACHINES = [
  { title: 'all that is mounted', hides: undefined },
  { title: 'without a v2 tree', hides: 'cgroup2' },
  { title: 'the v2 tree alone', hides: 'cgroup' },
] as const

let made = 0

interface Rig extends AsyncDisposable {
  readonly tree: CgroupTree
  readonly name: string
  readonly proc: string
}

async function openRig(t: TestContext, hides?: string): Promise<Rig | undefined> {
  const dir = await tempDir()
  mkdirSync(join(dir.path, 'self'))
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const shown = lines.filter((line) => hides === undefined || !line.includes(` - ${hides} `))
  writeFileSync(join(dir.path, 'self/mountinfo'), shown.join('\n'))
  writeFileSync(join(dir.path, 'self/cgroup'), readFileSync('/proc/self/cgroup'))
  const name = `cgroup-test-${process.pid}-${made++}`
  const tree = await openCgroups({ name, clock: systemClock, proc: dir.path })
  if (!tree) {
    await dir[Symbol.asyncDispose]()
    skip(t, `run as root where groups are mounted${hides ? `, other than ${hides}` : ''}`)
    return undefined
  }
  return {
    tree,
    name,
    proc: dir.path,
    async [Symbol.asyncDispose]() {
      await tree.reap()
      await tree[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** Groups need root; which are mounted is the machine's choice, so that only the first is asked for in CI. */
function skip(t: TestContext, reason: string): void {
  if (process.env['CI'] && !reason.includes('other than')) assert.fail(reason)
  t.skip(reason)
}

interface Held extends Disposable {
  readonly pid: number
  readonly child: ChildProcess
  go(): void
  readonly exit: Promise<unknown>
}

/** A shell that waits for `go` before it runs a script. */
function hold(script: string): Held {
  const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'ignore', 'ignore'] })
  child.stdin.on('error', () => {})
  const exit = once(child, 'exit').then(([code, signal]) => signal ?? code)
  return {
    pid: child.pid as number,
    child,
    exit,
    go: () => child.stdin.write('\n'),
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}

const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0]
const ticksOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[11])
const alive = (pid: number) => existsSync(`/proc/${pid}`) && stateOf(pid) !== 'Z'
const pidsIn = (rig: Rig, group: string) =>
  dirsOf(rig, group).flatMap((dir) =>
    readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean),
  )

/** In our own group or one around it, see `site.ts`. */
function dirsOf({ name, proc }: Rig, group = ''): string[] {
  const own = Object.values(groupOf('self', readMounts(proc), proc))
  const places = own.flatMap((dir) => [dir, join(dir, '..'), join(dir, '../..')])
  return [...new Set(places)].map((dir) => join(dir, name, group)).filter((dir) => existsSync(dir))
}

for (const { title, hides } of MACHINES)
  describe(`groups, ${title}`, () => {
    test('a group holds what was added and what that starts', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', FREE)
      using held = hold('sleep 60 & wait')
      await group.add(held.pid)
      held.go()
      await until(
        'the child to be in every tree',
        () => pidsIn(rig, 'a').length === 2 * dirsOf(rig, 'a').length,
      )
    })

    test('a kill ends a tree that forks, and the group is empty then', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', { ...FREE, pids: 40 })
      using held = hold('f() { while :; do f & sleep 0.01; done; }; f')
      await group.add(held.pid)
      held.go()
      await until('some forks', () => new Set(pidsIn(rig, 'a')).size > 10)
      await group.kill()
      assert.deepEqual(pidsIn(rig, 'a'), [])
      assert.equal(await held.exit, 'SIGKILL')
    })

    test('a kill ends what is frozen', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', FREE)
      using held = hold('sleep 60')
      await group.add(held.pid)
      await group.freeze()
      await group.kill()
      assert.equal(await held.exit, 'SIGKILL')
    })

    test('what is frozen uses no CPU, and goes on when thawed', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', FREE)
      using held = hold('while :; do :; done')
      await group.add(held.pid)
      held.go()
      await until('it to run', () => ticksOf(held.pid) > 0)
      await group.freeze()
      const before = ticksOf(held.pid)
      await until('another process to use CPU meanwhile', spin)
      assert.equal(ticksOf(held.pid), before)
      await group.thaw()
      await until('it to run on', () => ticksOf(held.pid) > before)
    })

    test('an empty group is frozen at once', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', FREE)
      await group.freeze()
      await group.thaw()
    })

    test('a disposed group leaves no process, no directory and no sample, and can be disposed again', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      const group = await rig.tree.make('a', FREE)
      using held = hold('sleep 60')
      await group.add(held.pid)
      const dirs = dirsOf(rig, 'a')
      assert.ok(group.sample())
      await Promise.all([group[Symbol.asyncDispose](), group[Symbol.asyncDispose]()])
      await group[Symbol.asyncDispose]()
      assert.equal(await held.exit, 'SIGKILL')
      assert.deepEqual([dirs.filter((dir) => existsSync(dir)), group.sample()], [[], undefined])
    })

    test('a disposed tree leaves no directory', async (t) => {
      const rig = await openRig(t, hides)
      if (!rig) return
      const dirs = dirsOf(rig)
      assert.ok(dirs.length > 0)
      await rig[Symbol.asyncDispose]()
      assert.deepEqual(
        dirs.filter((dir) => existsSync(dir)),
        [],
      )
    })

    test('reaping ends what a predecessor left, frozen or not, also in another group, and spares our own', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using _ours = await rig.tree.make('ours', FREE)
      const predecessor = (await openCgroups({
        name: rig.name,
        clock: systemClock,
        proc: rig.proc,
      })) as CgroupTree
      using running = hold('sleep 60')
      using frozen = hold('sleep 60')
      using ours = hold('sleep 60')
      await (await predecessor.make('running', FREE)).add(running.pid)
      const other = await predecessor.make('frozen', FREE)
      await other.add(frozen.pid)
      await other.freeze()
      await _ours.add(ours.pid)
      const elsewhere = dirsOf(rig).map((dir) => join(dir, '..', `${rig.name}-session`, rig.name, 'x'))
      for (const dir of elsewhere) mkdirSync(dir, { recursive: true })

      await rig.tree.reap()
      assert.deepEqual(await Promise.all([running.exit, frozen.exit]), ['SIGKILL', 'SIGKILL'])
      assert.deepEqual(
        [...dirsOf(rig, 'running'), ...dirsOf(rig, 'frozen'), ...elsewhere.filter(existsSync)],
        [],
      )
      assert.ok(alive(ours.pid))
      for (const dir of elsewhere) rmdirSync(join(dir, '../..'))
    })

    test('a name that is taken is refused, and its group stays as it was', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', FREE)
      using held = hold('sleep 60')
      await group.add(held.pid)
      await assert.rejects(
        rig.tree.make('a', FREE),
        (error) => (error as DriverError).fault === 'unavailable',
      )
      assert.ok(pidsIn(rig, 'a').length > 0)
    })

    test('a process that has ended cannot be added', async (t) => {
      await using rig = await openRig(t, hides)
      if (!rig) return
      await using group = await rig.tree.make('a', FREE)
      using held = hold('exit')
      held.go()
      await held.exit
      await assert.rejects(group.add(held.pid), DriverError)
    })
  })

/** Some clock ticks of our own. */
function spin(): boolean {
  const start = process.cpuUsage().user
  while (process.cpuUsage().user - start < 50_000);
  return true
}

describe('limits of groups', () => {
  test('a fork loop stops at the limit of processes', async (t) => {
    await using rig = await openRig(t)
    if (!rig) return
    await using group = await rig.tree.make('a', { ...FREE, pids: 8 })
    using held = hold('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; exit 7')
    await group.add(held.pid)
    held.go()
    assert.notEqual(await held.exit, 7)
    assert.equal(new Set(pidsIn(rig, 'a')).size, 7)
  })

  test('a process that takes more than its memory is killed, and that is counted', async (t) => {
    await using rig = await openRig(t)
    if (!rig) return
    const group = await rig.tree.make('a', { ...FREE, memory: 32 * MEBI })
    using held = hold('exec tail /dev/zero')
    await group.add(held.pid)
    assert.equal(group.oomKills(), 0)
    held.go()
    assert.equal(await held.exit, 'SIGKILL')
    assert.equal(group.oomKills(), 1)
    await group[Symbol.asyncDispose]()
    assert.equal(group.oomKills(), 1)
  })

  test('a spin gets the share of a CPU that it may use', async (t) => {
    await using rig = await openRig(t)
    if (!rig) return
    await using group = await rig.tree.make('a', { ...FREE, cpus: 0.1, cpuShares: 2 })
    using held = hold('while :; do :; done')
    await group.add(held.pid)
    held.go()
    const throttled = () =>
      dirsOf(rig, 'a').some((dir) => {
        const stat = existsSync(join(dir, 'cpu.stat')) ? readFileSync(join(dir, 'cpu.stat'), 'utf8') : ''
        return Number(/nr_throttled (\d+)/.exec(stat)?.[1] ?? 0) > 3
      })
    await until('the kernel to hold it back', throttled)
  })

  test('a sample tells the limit and what was used', async (t) => {
    await using rig = await openRig(t)
    if (!rig) return
    await using group = await rig.tree.make('a', { ...FREE, memory: 32 * MEBI })
    using held = hold('x=$(head -c 4000000 /dev/zero | tr "\\0" x); while :; do :; done')
    await group.add(held.pid)
    held.go()
    const sample = await until('CPU and memory to be used', () => {
      const sample = group.sample()
      return sample?.['cpu_user'] && sample['mem_usage'] ? sample : undefined
    })
    assert.equal(sample['mem_limit'], 32 * MEBI)
    assert.deepEqual(Object.keys(sample).sort(), [
      'cpu_kernel',
      'cpu_user',
      'disk_read',
      'disk_write',
      'mem_limit',
      'mem_usage',
    ])
  })

  test('a limit that the kernel refuses fails the making and leaves nothing', async (t) => {
    await using rig = await openRig(t)
    if (!rig) return
    await assert.rejects(
      rig.tree.make('a', { ...FREE, pids: 2 ** 40 }),
      (error) => (error as DriverError).fault === 'unavailable',
    )
    assert.deepEqual(dirsOf(rig, 'a'), [])
  })

  test('the group of any process can be read', async (t) => {
    await using rig = await openRig(t)
    if (!rig) return
    await using group = await rig.tree.make('a', { ...FREE, memory: 32 * MEBI })
    using held = hold('exec tail /dev/zero')
    await group.add(held.pid)
    const counters = readCgroup(held.pid)
    assert.equal(counters?.sample()?.['mem_limit'], 32 * MEBI)
    held.go()
    await held.exit
    assert.equal(counters?.oomKills(), 1)
  })
})

test('there are no groups where none are mounted', async () => {
  await using dir = await tempDir()
  mkdirSync(join(dir.path, 'self'))
  writeFileSync(join(dir.path, 'self/mountinfo'), '22 1 0:21 / /proc rw - proc proc rw\n')
  writeFileSync(join(dir.path, 'self/cgroup'), '')
  assert.equal(await openCgroups({ name: 'x', clock: systemClock, proc: dir.path }), undefined)
})

test('there are no groups without /proc', async () => {
  assert.equal(await openCgroups({ name: 'x', clock: systemClock, proc: '/nowhere' }), undefined)
})

test('a process that is not there has no group', () => {
  assert.equal(readCgroup(2 ** 30), undefined)
})
