import assert from 'node:assert/strict'
import type { Capabilities, Container, Metric, Stat } from '../driver.ts'
import { code, gives, hot, type Need, type Rig } from './rig.ts'
import { never, specOf } from './support.ts'

/** What is measured of a container. */
export function statsContract(rig: Rig): void {
  const { it, probe, start } = rig
  const stated = () => [...rig.driver.capabilities.measures].sort()

  it('every stated metric is measured, and no other', [hot, measuresAny], async () => {
    const container = await start(specOf('echo'))
    const seen = new Set<string>()
    for await (const { metrics, timestamp } of container.stats(never)) {
      assert.ok(timestamp instanceof Date)
      for (const [name, value] of Object.entries(metrics)) {
        assert.ok(Number.isFinite(value) && value >= 0, `${name} is ${value}`)
        seen.add(name)
      }
      if (stated().every((name) => seen.has(name))) break
    }
    assert.deepEqual([...seen].sort(), stated())
  })

  it('a network of its own is measured', [hot, measures('net_rx'), gives('outbound')], async () => {
    const container = await start(specOf('echo', { network: 'outbound' }))
    const { metrics } = await sampleOf(container, () => true)
    for (const name of ['net_rx', 'net_tx']) assert.ok((metrics[name] as number) >= 0, name)
  })

  it(
    'what was measured outlives the container, and the stream ends with it',
    [hot, measuresAny],
    async () => {
      const container = await start(specOf('echo'))
      const stats = container.stats(never)[Symbol.asyncIterator]()
      assert.equal((await stats.next()).done, false)
      await container.stop('killed')
      while (!(await stats.next()).done);
      const measured = container.measured()
      assert.ok(measured.length >= 1 && measured.length <= 240, `${measured.length} samples`)
    },
  )

  it('an abort ends the stream of samples, not the container', [hot], async () => {
    const container = await start(specOf('echo'))
    const abort = new AbortController()
    const all = Array.fromAsync(container.stats(abort.signal)).catch((error) => error)
    abort.abort()
    await all
    assert.equal((await container.stop('timeout')).status, 'timeout')
  })

  it('one that measures nothing has no samples', [hot, measuresNothing], async () => {
    const container = await start(specOf('echo'))
    const all = Array.fromAsync(container.stats(never))
    await container.stop('killed')
    assert.deepEqual(await all, [])
    assert.deepEqual(container.measured(), [])
  })

  it('mem_usage is what it uses', [hot, code, measures('mem_usage')], async () => {
    const { container } = await probe()
    const { metrics } = await sampleOf(container, ({ metrics }) => (metrics['mem_usage'] ?? 0) > 1024 ** 2)
    assert.ok((metrics['mem_usage'] as number) < 1024 ** 3)
  })

  it('mem_limit is the limit', [hot, code, measures('mem_limit')], async () => {
    const memory = 160 * 1024 ** 2
    const { container } = await probe({ memory })
    const { metrics } = await sampleOf(container, () => true)
    assert.equal(metrics['mem_limit'], memory)
  })

  it('cpu_user and cpu_kernel grow with its work', [hot, code, measures('cpu_user')], async () => {
    const { container, get } = await probe()
    const used = ({ metrics }: Stat) => (metrics['cpu_user'] ?? 0) + (metrics['cpu_kernel'] ?? 0)
    const before = used(await sampleOf(container, () => true))
    const ms = await get<number>('burn', { ms: 300 })
    assert.ok(ms > 0)
    // By what the kernel gave it: on a busy machine that is less than it asked for. Counted in ticks of 10 ms.
    const after = await sampleOf(container, (stat) => used(stat) - before >= ms * 0.8e6)
    assert.ok(used(after) - before < 60e9, 'nanoseconds')
  })

  it('cpu_total is a share of one CPU', [hot, code, measures('cpu_total')], async () => {
    const { container, get } = await probe()
    const burning = get('burn', { ms: 2_500 }).catch(() => {})
    const { metrics } = await sampleOf(container, ({ metrics }) => (metrics['cpu_total'] ?? 0) > 0)
    assert.ok((metrics['cpu_total'] as number) <= 6_400, `${metrics['cpu_total']} percent`)
    await container.stop('killed')
    await burning
  })
}

const measuresAny: Need = ({ measures }) => (measures.length > 0 ? undefined : 'measures nothing')
const measuresNothing: Need = ({ measures }) => (measures.length > 0 ? 'measures something' : undefined)
const measures =
  (metric: Metric): Need =>
  ({ measures }: Capabilities) =>
    measures.includes(metric) ? undefined : `does not measure ${metric}`

/** The first sample that is as wanted. */
async function sampleOf(container: Container, wanted: (stat: Stat) => boolean): Promise<Stat> {
  for await (const stat of container.stats(never)) if (wanted(stat)) return stat
  throw new Error('the container ended')
}
