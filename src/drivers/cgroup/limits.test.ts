import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { GROUP_LIMITS, type GroupLimit, type GroupLimits, setLimits } from './limits.ts'

interface Case {
  readonly limits: GroupLimits
  readonly enforced?: readonly GroupLimit[]
}

/** What is written, path → text. */
async function written(
  version: 1 | 2,
  { limits, enforced = GROUP_LIMITS }: Case,
): Promise<Record<string, string>> {
  await using dir = await tempDir()
  const sub = (name: string) => join(dir.path, name)
  const dirs =
    version === 2
      ? { unified: sub('unified') }
      : { memory: sub('memory'), cpu: sub('cpu'), pids: sub('pids'), unified: sub('unified') }
  for (const path of Object.values(dirs)) mkdirSync(path)
  setLimits(dirs, enforced, limits)
  const files = readdirSync(dir.path, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  const paths = files.map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(
    paths.map((path) => [path.slice(dir.path.length + 1), readFileSync(path, 'utf8')]),
  )
}

const LIMITS = { memory: 134_217_728, cpus: 1.5, cpuShares: 1024, pids: 64 }

test('the limits of a v2 group', async () => {
  assert.deepEqual(await written(2, { limits: LIMITS }), {
    'unified/memory.max': '134217728',
    'unified/memory.swap.max': '0',
    'unified/memory.oom.group': '1',
    'unified/cpu.max': '150000 100000',
    'unified/cpu.weight': '39',
    'unified/pids.max': '64',
  })
})

test('the limits of a v1 group, whose v2 directory gets none', async () => {
  assert.deepEqual(await written(1, { limits: LIMITS }), {
    'memory/memory.kmem.tcp.limit_in_bytes': '134217728',
    'memory/memory.limit_in_bytes': '134217728',
    'memory/memory.memsw.limit_in_bytes': '134217728',
    'cpu/cpu.cfs_period_us': '100000',
    'cpu/cpu.cfs_quota_us': '150000',
    'cpu/cpu.shares': '1024',
    'pids/pids.max': '64',
  })
})

test('without limits nothing is written but that a v2 group dies as one', async () => {
  const limits = { memory: 0, cpus: 0, pids: 0 }
  assert.deepEqual(await written(1, { limits }), {})
  assert.deepEqual(await written(2, { limits }), { 'unified/memory.oom.group': '1' })
})

test('what is not enforced is not written', async () => {
  assert.deepEqual(await written(2, { limits: LIMITS, enforced: ['pids'] }), { 'unified/pids.max': '64' })
})

test('weights go from the least to the most, and a tiny quota is the least that the kernel takes', async () => {
  for (const [cpuShares, weight] of [
    [2, '1'],
    [262_144, '10000'],
  ] as const) {
    const files = await written(2, { limits: { ...LIMITS, cpus: 0.001, cpuShares } })
    assert.deepEqual([files['unified/cpu.weight'], files['unified/cpu.max']], [weight, '1000 100000'])
  }
})
