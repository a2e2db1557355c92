import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memorySize } from './memory-size.ts'

const machine = (files: Record<string, string>) => ({ read: (path: string) => files[path] })
const meminfo = 'MemTotal:       16000000 kB\nMemAvailable:    1000000 kB\n'

test('without a cgroup limit, nine tenths of what is available', () => {
  const files = {
    '/proc/meminfo': meminfo,
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  }
  assert.equal(memorySize(machine(files)), 921_600_000)
})

test('a cgroup v2 limit below it wins', () => {
  const files = { '/proc/meminfo': meminfo, '/sys/fs/cgroup/memory.max': '500000000\n' }
  assert.equal(memorySize(machine(files)), 450_000_000)
})

test('"max" of cgroup v2 is no limit', () => {
  const files = { '/proc/meminfo': meminfo, '/sys/fs/cgroup/memory.max': 'max\n' }
  assert.equal(memorySize(machine(files)), 921_600_000)
})
