import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { readMounts } from '../../host/hierarchies.ts'
import { openSite, type Site } from './site.ts'

interface Group {
  readonly controllers?: string
  readonly handsDown?: string
}

/** Path → group; the node is in `own`. Files hold what was written last. */
interface Machine {
  readonly own: string
  readonly groups: Readonly<Record<string, Group>>
}

interface Opened {
  readonly site: Site | undefined
  readonly text: (path: string) => string
}

/** A v2 tree of plain files: whatever is written is taken. */
async function open({ own, groups }: Machine, check: (opened: Opened, mount: string) => void): Promise<void> {
  await using dir = await tempDir()
  const mount = join(dir.path, 'groups')
  for (const [path, { controllers = '', handsDown = '' }] of Object.entries(groups)) {
    mkdirSync(join(mount, path), { recursive: true })
    writeFileSync(join(mount, path, 'cgroup.controllers'), `${controllers}\n`)
    writeFileSync(join(mount, path, 'cgroup.subtree_control'), `${handsDown}\n`)
    writeFileSync(join(mount, path, 'cgroup.procs'), '')
  }
  mkdirSync(join(dir.path, 'self'))
  writeFileSync(join(dir.path, 'self/mountinfo'), `29 24 0:26 / ${mount} rw - cgroup2 cgroup2 rw\n`)
  writeFileSync(join(dir.path, 'self/cgroup'), `0::${own}\n`)
  const site = openSite('fns', readMounts(dir.path), dir.path)
  check({ site, text: (path) => readFileSync(join(mount, path), 'utf8').trim() }, mount)
}

const ALL = 'cpuset cpu io memory hugetlb pids'

test('a delegated group hands down its controllers, and holds the groups', async () => {
  const own = '/system.slice/sluice.service'
  const groups = { '/': {}, '/system.slice': {}, [own]: { controllers: 'memory' } }
  await open({ own, groups }, ({ site, text }, mount) => {
    assert.deepEqual(site?.dirs, { unified: join(mount, own, 'fns') })
    assert.equal(text(`${own}/cgroup.subtree_control`), '+memory')
  })
})

test('a node that stepped aside before uses the same place again', async () => {
  const own = '/sluice.service/sluice-node'
  const groups = {
    '/sluice.service': { controllers: 'memory', handsDown: 'memory' },
    [own]: { controllers: 'memory' },
  }
  await open({ own, groups }, ({ site }, mount) => {
    assert.deepEqual(site?.dirs, { unified: join(mount, 'sluice.service/fns') })
  })
})

test('a group around enforces more: the groups are siblings of the node', async () => {
  const groups = {
    '/': { controllers: ALL, handsDown: ALL },
    '/user.slice': { controllers: ALL, handsDown: 'memory pids' },
    '/user.slice/session': { controllers: 'memory pids' },
  }
  await open({ own: '/user.slice/session', groups }, ({ site, text }, mount) => {
    assert.deepEqual(site?.dirs, { unified: join(mount, 'fns') })
    assert.equal(text('/user.slice/session/cgroup.subtree_control'), '')
  })
})

test('of places that enforce as much, the nearest is taken', async () => {
  const groups = {
    '/': { controllers: 'memory pids', handsDown: 'memory pids' },
    '/a': { controllers: 'memory pids', handsDown: 'memory pids' },
    '/a/own': { controllers: 'memory pids' },
  }
  await open({ own: '/a/own', groups }, ({ site }, mount) => {
    assert.deepEqual(site?.dirs, { unified: join(mount, 'a/own/fns') })
  })
})

/** Runs a program in a fresh group of the kernel's own v2 tree; hugetlb is the controller that v1 leaves to a hybrid. */
async function inGroup(t: TestContext, check: (group: string, run: Run) => Promise<void>): Promise<void> {
  const mount = readMounts('/proc').unified?.mount
  const top = mount && join(mount, `cgroup-site-${process.pid}`)
  if (
    !top ||
    process.getuid?.() !== 0 ||
    !readFileSync(join(mount, 'cgroup.controllers'), 'utf8').includes('hugetlb')
  ) {
    t.skip('run as root where a v2 tree with the controller hugetlb is mounted')
    return
  }
  const before = readFileSync(join(mount, 'cgroup.subtree_control'), 'utf8').includes('hugetlb')
  writeFileSync(join(mount, 'cgroup.subtree_control'), '+hugetlb')
  mkdirSync(top)
  try {
    await check(top, (stranger) => runIn(top, mount, stranger))
  } finally {
    for (const path of ['fns', 'sluice-node', '.'])
      if (existsSync(join(top, path))) rmdirSync(join(top, path))
    if (existsSync(join(mount, 'fns'))) rmdirSync(join(mount, 'fns'))
    if (!before) writeFileSync(join(mount, 'cgroup.subtree_control'), '-hugetlb')
  }
}

type Run = (stranger: boolean) => Promise<{ unified: string; group: string }>

const PROGRAM = `
const [{ openSite }, { readMounts }] = await Promise.all([import(process.argv[1]), import(process.argv[2])])
const { readFileSync } = await import('node:fs')
process.stdin.once('data', () => {
  const mounts = { v1: {}, unified: readMounts('/proc').unified }
  const site = openSite('fns', mounts, '/proc', ['hugetlb'])
  const group = readFileSync('/proc/self/cgroup', 'utf8').match(/^0::(.*)$/m)[1]
  console.log(JSON.stringify({ unified: site?.dirs.unified, group }))
  process.exit()
})
console.log('ready')`

async function runIn(
  group: string,
  mount: string,
  stranger: boolean,
): Promise<{ unified: string; group: string }> {
  const modules = ['./site.ts', '../../host/hierarchies.ts'].map(
    (file) => new URL(file, import.meta.url).href,
  )
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, ...modules], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const other = spawn('sleep', ['60'])
  try {
    await once(child.stdout, 'data')
    const members = stranger ? [child.pid, other.pid] : [child.pid]
    for (const pid of members) writeFileSync(join(group, 'cgroup.procs'), String(pid))
    child.stdin.write('go\n')
    const [line] = await once(child.stdout, 'data')
    await once(child, 'exit')
    const answer = JSON.parse(String(line))
    return { unified: answer.unified?.slice(mount.length), group: answer.group }
  } finally {
    const ends = [child, other].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    for (const process of ends) {
      process.kill('SIGKILL')
      await once(process, 'exit')
    }
  }
}

test('a node alone in its group moves into a leaf of it, as the kernel wants', async (t) => {
  await inGroup(t, async (group, run) => {
    const name = group.slice(group.lastIndexOf('/'))
    assert.deepEqual(await run(false), { unified: `${name}/fns`, group: `${name}/sluice-node` })
    assert.match(readFileSync(join(group, 'cgroup.subtree_control'), 'utf8'), /hugetlb/)
  })
})

test('strangers in the group stay where they are: the groups are made beside it', async (t) => {
  await inGroup(t, async (group, run) => {
    const name = group.slice(group.lastIndexOf('/'))
    assert.deepEqual(await run(true), { unified: '/fns', group: name })
    assert.ok(!existsSync(join(group, 'sluice-node')))
  })
})
