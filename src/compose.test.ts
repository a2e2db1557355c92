import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tempDir } from '../test/support/temp.ts'
import { type StartSettings, startSluice } from './compose.ts'
import { systemClock } from './core/clock.ts'
import { silentLogger } from './core/logger.ts'
import { seededRandom } from './core/random.ts'
import { readEnvironment } from './host/config.ts'

const GIB = 1024 ** 3
const LOOPBACK = { host: '127.0.0.1', port: 0 }

/** What each of three nodes of one process may promise to its containers: GiB and CPUs. */
async function promised(
  settings: Partial<StartSettings>,
  environment: Readonly<Record<string, string>>,
): Promise<[number, number][]> {
  await using dir = await tempDir()
  await using sluice = await startSluice(
    {
      listen: LOOPBACK,
      admin: LOOPBACK,
      dataDir: dir.path,
      driver: 'mock',
      strategy: 'fnlb',
      localNodes: 3,
      ...settings,
    },
    {
      clock: systemClock,
      random: seededRandom(1),
      log: silentLogger,
      environment: readEnvironment(environment),
    },
  )
  return await Promise.all(
    sluice.nodes.map(async ({ url }) => {
      const load = await (await fetch(`${url}/node/load`)).json()
      const { memory, cpus } = load as { memory: { total: number }; cpus: { total: number } }
      return [memory.total / GIB, cpus.total] as [number, number]
    }),
  )
}

const TOTAL = { FN_MAX_TOTAL_MEMORY_BYTES: String(6 * GIB), FN_MAX_TOTAL_CPU_MCPUS: '1500' }

test('nodes of one process share what the environment allows', async () => {
  assert.deepEqual(await promised({}, TOTAL), Array(3).fill([2, 0.5]))
})

test('options win over the environment, each on its own', async () => {
  assert.deepEqual(await promised({ memory: 3 * GIB }, TOTAL), Array(3).fill([1, 0.5]))
  assert.deepEqual(await promised({ cpus: 6 }, TOTAL), Array(3).fill([2, 2]))
})
