import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '../core/clock.ts'
import { meter, parseNetwork } from './meter.ts'

const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  999999    1 0 0 0 0 0 0  888888    1 0 0 0 0 0 0
  eth0: 1500      12 0 0 0 0 0 0     700     9 0 0 0 0 0 0
eth1:10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0
`

test('the traffic of all interfaces counts, but of the loopback', () => {
  assert.deepEqual(parseNetwork(NET_DEV), { net_rx: 1510, net_tx: 720 })
})

test('CPU is told in percent of one CPU since the sample before', () => {
  const clock = virtualClock(1_000)
  let used = 0
  const read = meter({
    group: { sample: () => ({ cpu_user: used, cpu_kernel: 100e6 }), peak: () => undefined },
    ...{ pid: process.pid, ownNetwork: false, clock, startedAt: clock.now() },
  })
  clock.advance(1_000)
  assert.equal(read()?.['cpu_total'], 10)
  used = 500e6
  clock.advance(250)
  assert.equal(read()?.['cpu_total'], 200)
  clock.advance(1_000)
  assert.equal(read()?.['cpu_total'], 0)
})

test('the machine’s network is not measured as the container’s', () => {
  const read = (ownNetwork: boolean) =>
    meter({
      group: { sample: () => ({}), peak: () => undefined },
      ...{ pid: process.pid, ownNetwork, clock: virtualClock(), startedAt: 0 },
    })()
  assert.deepEqual(Object.keys(read(false) ?? {}), ['cpu_total'])
  assert.deepEqual(Object.keys(read(true) ?? {}), ['net_rx', 'net_tx', 'cpu_total'])
})

test('the last sample is whole: the most memory that it had, and its network as it was seen last', () => {
  const clock = virtualClock(1_000)
  const read = (pid: number) =>
    meter({
      group: { sample: () => ({ mem_usage: 5, cpu_user: 7, cpu_kernel: 0 }), peak: () => 100 },
      ...{ pid, ownNetwork: true, clock, startedAt: clock.now() },
    })
  const alive = read(process.pid)
  const { net_rx } = alive() ?? {}
  assert.deepEqual(Object.keys(alive('last') ?? {}), [
    'mem_usage',
    'cpu_user',
    'cpu_kernel',
    'net_rx',
    'net_tx',
    'cpu_total',
  ])
  assert.equal(alive()?.['mem_usage'], 5)
  assert.equal(alive('last')?.['mem_usage'], 100)
  assert.ok(net_rx !== undefined && (alive('last')?.['net_rx'] as number) >= net_rx)
})

test('there is no sample of one that is gone', () => {
  const gone = { sample: () => undefined, peak: () => undefined }
  const read = meter({
    group: gone,
    ...{ pid: process.pid, ownNetwork: true, clock: virtualClock(), startedAt: 0 },
  })
  assert.equal(read(), undefined)
})
