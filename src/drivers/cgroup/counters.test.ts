import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import type { GroupDirs } from '../../host/hierarchies.ts'
import { readOomKills, readPeak, readSample } from './counters.ts'

type Files = Readonly<Record<string, string>>

/** Reads a group whose directories, named like their trees, hold these files. */
async function reading<T>(trees: Readonly<Record<string, Files>>, read: (dirs: GroupDirs) => T): Promise<T> {
  await using dir = await tempDir()
  for (const [tree, files] of Object.entries(trees)) {
    mkdirSync(join(dir.path, tree))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir.path, tree, name), text)
  }
  return read(Object.fromEntries(Object.keys(trees).map((tree) => [tree, join(dir.path, tree)])))
}

const UNIFIED = {
  'memory.max': '134217728\n',
  'memory.current': '12582912\n',
  'memory.events': 'low 0\nhigh 0\nmax 41\noom 3\noom_kill 2\noom_group_kill 0\n',
  'io.stat':
    '259:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n253:0 rbytes=1 wbytes=2 rios=1 wios=1\n',
  'cpu.stat': 'usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 0\n',
}

const V1 = {
  memory: {
    'memory.limit_in_bytes': '134217728\n',
    'memory.usage_in_bytes': '12582912\n',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
  },
  cpuacct: { 'cpuacct.usage_user': '3000000\n', 'cpuacct.usage_sys': '2000000\n' },
  blkio: {
    'blkio.throttle.io_service_bytes_recursive':
      '259:0 Read 4096\n259:0 Write 8192\n259:0 Sync 12288\n253:0 Read 1\n253:0 Write 2\nTotal 12291\n',
  },
}

const SAMPLE = {
  mem_limit: 134_217_728,
  mem_usage: 12_582_912,
  disk_read: 4_097,
  disk_write: 8_194,
  cpu_user: 3_000_000,
  cpu_kernel: 2_000_000,
}

test('the most memory that a group has had is told by both', async () => {
  const v1 = { memory: { 'memory.max_usage_in_bytes': '4096\n' } }
  assert.equal(await reading({ unified: { 'memory.peak': '8192\n' } }, readPeak), 8192)
  assert.equal(await reading(v1, readPeak), 4096)
  assert.equal(await reading({ unified: {} }, readPeak), undefined)
})

test('a v2 group is measured', async () => {
  assert.deepEqual(await reading({ unified: UNIFIED }, readSample), SAMPLE)
})

test('a v1 group is measured', async () => {
  assert.deepEqual(await reading({ ...V1, unified: {} }, readSample), SAMPLE)
})

test('an older v1 tells disk and CPU otherwise', async () => {
  const blkio = { 'blkio.throttle.io_service_bytes': '259:0 Read 7\n259:0 Write 8\nTotal 15\n' }
  const cpuacct = { 'cpuacct.stat': 'user 3\nsystem 2\n' }
  assert.deepEqual(await reading({ blkio, cpuacct }, readSample), {
    disk_read: 7,
    disk_write: 8,
    cpu_user: 30_000_000,
    cpu_kernel: 20_000_000,
  })
})

test('without a limit the machine is the limit', async () => {
  const v1 = { memory: { 'memory.limit_in_bytes': '9223372036854771712\n' } }
  const unified = { 'memory.max': 'max\n' }
  for (const trees of [v1, { unified }])
    assert.deepEqual(await reading(trees, readSample), { mem_limit: totalmem() })
})

test('kills for memory are counted, and not what only came near', async () => {
  assert.equal(await reading({ unified: UNIFIED }, readOomKills), 2)
  assert.equal(await reading(V1, readOomKills), 2)
})

test('a v2 group that dies as one was killed once, of however many processes', async () => {
  const died = { 'memory.events': 'max 41\noom 1\noom_kill 3\noom_group_kill 1\n' }
  assert.equal(await reading({ unified: died }, readOomKills), 1)
})

test('a kernel that does not count groups that die as one counts processes', async () => {
  const before = { 'memory.events': 'max 41\noom 1\noom_kill 3\n' }
  assert.equal(await reading({ unified: before }, readOomKills), 3)
})

test('a group that has gone tells nothing', async () => {
  const gone = { memory: '/nowhere/a', unified: '/nowhere/b' }
  assert.deepEqual([readSample(gone), readOomKills(gone)], [undefined, undefined])
})
