import assert from 'node:assert/strict'
import { test } from 'node:test'
import { converter, type EngineStats } from './samples.ts'

const line = (changes: Partial<EngineStats> = {}): EngineStats => ({
  read: '2026-11-24T08:00:00.000000001Z',
  cpu_stats: { cpu_usage: { total_usage: 5e8, usage_in_usermode: 4e8, usage_in_kernelmode: 1e8 } },
  memory_stats: { usage: 2e6, limit: 1e8 },
  networks: { eth0: { rx_bytes: 3, tx_bytes: 4 }, eth1: { rx_bytes: 10, tx_bytes: 20 } },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: 'Read', value: 1 },
      { op: 'Write', value: 2 },
      { op: 'read', value: 10 },
      { op: 'Total', value: 13 },
    ],
  },
  ...changes,
})

test('a line becomes a sample', () => {
  assert.deepEqual(converter(true)(line()), {
    timestamp: new Date('2026-11-24T08:00:00.000Z'),
    metrics: {
      net_rx: 13,
      net_tx: 24,
      mem_limit: 1e8,
      mem_usage: 2e6,
      disk_read: 11,
      disk_write: 2,
      cpu_user: 4e8,
      cpu_kernel: 1e8,
      cpu_total: 0,
    },
  })
})

test('cpu_total is what was used between two lines, in percent of one CPU', () => {
  const convert = converter(true)
  convert(line())
  const later = line({ read: '2026-11-24T08:00:02Z', cpu_stats: { cpu_usage: { total_usage: 3.5e9 } } })
  assert.equal(convert(later)?.metrics['cpu_total'], 150)
})

test('what is missing is none', () => {
  const { networks: _, ...bare } = line({ blkio_stats: { io_service_bytes_recursive: null } })
  const { metrics } = converter(true)(bare) ?? {}
  assert.deepEqual([metrics?.['net_rx'], metrics?.['disk_read']], [0, 0])
})

test("the machine's network is not a container's", () => {
  assert.equal(converter(false)(line())?.metrics['net_rx'], undefined)
})

test('a line about one that does not run is no sample', () => {
  assert.equal(converter(true)(line({ memory_stats: {} })), undefined)
})
