import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type MachineResources, machineResources } from './resources.ts'

const MIB = 1024 * 1024
const V2_MOUNT = '29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n'

type Files = Readonly<Record<string, string>>

/** 8 CPUs and 1000 MiB that are free, and no groups; over it `files`. */
const machine = (files: Files): MachineResources => {
  const all: Files = {
    '/proc/meminfo': `MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    ${1000 * 1024} kB\n`,
    '/proc/cpuinfo': Array.from(
      { length: 8 },
      (_, i) => `processor\t: ${i}\nmodel name\t: processor x\n`,
    ).join(''),
    '/proc/self/status': 'Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-127\n',
    ...files,
  }
  return machineResources({ read: (path) => all[path], parallelism: () => 3 })
}

/** Files below one directory. */
const at = (dir: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`${dir}/${name}`, text]))

const v2 = (path: string, groups: Readonly<Record<string, Files>>, mountinfo = V2_MOUNT): Files => ({
  '/proc/self/mountinfo': mountinfo,
  '/proc/self/cgroup': `0::${path}\n`,
  ...Object.assign({}, ...Object.entries(groups).map(([dir, files]) => at(`/sys/fs/cgroup${dir}`, files))),
})

const V1_MOUNTS = [
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct',
  '34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset',
  '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
  '',
].join('\n')

const V1_NONE = '9223372036854771712\n'

/** What a container without a namespace of its own sees: its own part of each tree, and its path from outside. */
const V1_CONTAINER = {
  '/proc/self/mountinfo': V1_MOUNTS.replaceAll(' / /sys', ' /docker/4f2a /sys'),
  '/proc/self/cgroup': '4:memory:/docker/4f2a\n3:cpuset:/docker/4f2a\n1:cpu,cpuacct:/docker/4f2a\n',
}

/** Case → files → MiB before the node's own tenth, CPUs. */
const CASES: readonly (readonly [string, Files, number, number])[] = [
  ['no groups at all', {}, 1000, 8],
  [
    'v2, no limits',
    v2('/a', { '': {}, '/a': { 'memory.max': 'max\n', 'cpu.max': 'max 100000\n' } }),
    1000,
    8,
  ],
  [
    'v2, the own group',
    v2('/a', { '/a': { 'memory.max': `${512 * MIB}\n`, 'cpu.max': '150000 100000\n' } }),
    512,
    1.5,
  ],
  [
    'v2, a group far around it has less',
    v2('/a/b/c', {
      '/a': { 'memory.max': `${300 * MIB}`, 'cpu.max': '50000 100000' },
      '/a/b': { 'memory.max': 'max', 'cpu.max': 'max 100000' },
      '/a/b/c': { 'memory.max': `${900 * MIB}`, 'cpu.max': '400000 100000' },
    }),
    300,
    0.5,
  ],
  ['v2, another group is no matter', v2('/a', { '/b': { 'memory.max': '1', 'cpu.max': '1 1000' } }), 1000, 8],
  ['v2, slowed down above a bound', v2('/a', { '/a': { 'memory.high': `${400 * MIB}` } }), 400, 8],
  [
    'v2, the limit is above what is there',
    v2('/a', { '/a': { 'memory.max': `${9 * 1024 * MIB}` } }),
    1000,
    8,
  ],
  [
    'v2, a set of CPUs',
    v2('/a', { '/a': { 'cpuset.cpus.effective': '0-1,4\n', 'cpuset.cpus': '0\n' } }),
    1000,
    3,
  ],
  ['v2, no set of its own', v2('/a', { '/a': { 'cpuset.cpus': '\n' } }), 1000, 8],
  [
    'v2, a namespace of its own',
    v2('/', { '': { 'memory.max': `${256 * MIB}`, 'cpu.max': '200000 100000' } }),
    256,
    2,
  ],
  [
    'v2, moved out of its namespace',
    {
      ...v2('/../other', { '': { 'memory.max': `${256 * MIB}` } }),
      ...at('/sys/fs/other', { 'memory.max': '1' }),
    },
    256,
    8,
  ],
  [
    'v2, a path from outside that is not to be seen',
    v2('/docker/4f2a', { '': { 'memory.max': `${256 * MIB}` } }),
    256,
    8,
  ],
  [
    'v2, its own part is mounted',
    v2(
      '/docker/4f2a/in',
      { '/in': { 'memory.max': `${128 * MIB}` } },
      V2_MOUNT.replace(' / ', ' /docker/4f2a '),
    ),
    128,
    8,
  ],
  [
    'v1, nested',
    {
      '/proc/self/mountinfo': V1_MOUNTS,
      '/proc/self/cgroup': '4:memory:/a/b\n3:cpuset:/a\n1:cpu,cpuacct:/a/b\n0::/\n',
      ...at('/sys/fs/cgroup/memory', { 'memory.limit_in_bytes': V1_NONE }),
      ...at('/sys/fs/cgroup/memory/a', { 'memory.limit_in_bytes': `${700 * MIB}\n` }),
      ...at('/sys/fs/cgroup/memory/a/b', { 'memory.limit_in_bytes': `${800 * MIB}\n` }),
      ...at('/sys/fs/cgroup/cpu,cpuacct/a', {
        'cpu.cfs_quota_us': '250000\n',
        'cpu.cfs_period_us': '100000\n',
      }),
      ...at('/sys/fs/cgroup/cpu,cpuacct/a/b', {
        'cpu.cfs_quota_us': '-1\n',
        'cpu.cfs_period_us': '100000\n',
      }),
      ...at('/sys/fs/cgroup/cpuset/a', { 'cpuset.cpus': '0-3\n' }),
    },
    700,
    2.5,
  ],
  [
    'v1, a limit around it that it cannot see',
    {
      ...V1_CONTAINER,
      ...at('/sys/fs/cgroup/memory', {
        'memory.limit_in_bytes': V1_NONE,
        'memory.stat': `cache 0\nhierarchical_memory_limit ${200 * MIB}\ntotal_cache 0\n`,
      }),
    },
    200,
    8,
  ],
  [
    'v1, a container without a namespace',
    {
      ...V1_CONTAINER,
      ...at('/sys/fs/cgroup/memory', { 'memory.limit_in_bytes': `${128 * MIB}\n` }),
      ...at('/sys/fs/cgroup/cpuset', { 'cpuset.effective_cpus': '7\n' }),
    },
    128,
    1,
  ],
  [
    'a hybrid, each controller where it is mounted',
    {
      '/proc/self/mountinfo': `${V1_MOUNTS}41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
      '/proc/self/cgroup': '4:memory:/m\n3:cpuset:/\n1:cpu,cpuacct:/c\n0::/u\n',
      ...at('/sys/fs/cgroup/memory/m', { 'memory.limit_in_bytes': `${600 * MIB}\n` }),
      ...at('/sys/fs/cgroup/cpu,cpuacct/c', { 'cpu.cfs_quota_us': '-1', 'cpu.cfs_period_us': '100000' }),
      ...at('/sys/fs/cgroup/unified/u', { 'cgroup.procs': '1\n' }),
    },
    600,
    8,
  ],
  ['no mounts to be read, v2', at('/sys/fs/cgroup', { 'memory.max': `${90 * MIB}` }), 90, 8],
  [
    'no mounts to be read, v1',
    at('/sys/fs/cgroup', {
      'memory/memory.limit_in_bytes': `${90 * MIB}`,
      'cpu/cpu.cfs_quota_us': '100000',
      'cpu/cpu.cfs_period_us': '100000',
    }),
    90,
    1,
  ],
  ['fewer CPUs allowed than there are', { '/proc/self/status': 'Cpus_allowed_list:\t2,5-6\n' }, 1000, 3],
  ['nothing tells of CPUs', { '/proc/self/status': '', '/proc/cpuinfo': '' }, 1000, 3],
  ['nothing tells of memory', { '/proc/meminfo': 'MemTotal: 1 kB\n' }, 2048, 8],
]

for (const [title, files, mebibytes, cpus] of CASES)
  test(`what containers may be promised: ${title}`, () => {
    assert.deepEqual(machine(files), { memory: Math.floor(mebibytes * MIB * 0.9), cpus })
  })

test('no value that means nothing, however absurd, becomes the budget', () => {
  const absurd = ['0', '-1', '-9', '', ' ', 'max', 'Infinity', 'NaN', '1e99', '0x10', '12 kB', V1_NONE]
  absurd.push('18446744073709551615', '9'.repeat(400))
  for (const text of absurd)
    assert.deepEqual(
      machine(
        v2('/a', {
          '': { 'memory.limit_in_bytes': text, 'memory.stat': `hierarchical_memory_limit ${text}` },
          '/a': {
            'memory.max': text,
            'memory.high': text,
            'cpu.max': `${text} 100000`,
            'cpuset.cpus': `${text}-`,
          },
        }),
      ),
      { memory: Math.floor(1000 * MIB * 0.9), cpus: 8 },
      JSON.stringify(text),
    )
})

test('a huge limit is none, also where nothing else tells', () => {
  for (const text of [V1_NONE, '18446744073709551615', '9'.repeat(400)])
    assert.equal(
      machine({ ...v2('/a', { '/a': { 'memory.limit_in_bytes': text } }), '/proc/meminfo': '' }).memory,
      Math.floor(2048 * MIB * 0.9),
    )
})

test('whatever the files hold, the result is some memory and some CPUs, and never more than is there', () => {
  const text = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.constantFrom('max', 'max 100000', '0-3', '3-0'),
  )
  const names = [
    'memory.max',
    'memory.stat',
    'cpu.max',
    'cpuset.cpus',
    'cpu.cfs_quota_us',
    'cpu.cfs_period_us',
  ]
  fc.assert(
    fc.property(text, text, fc.constantFrom(...names), fc.constantFrom(...names), (one, other, a, b) => {
      for (const files of [
        v2('/a', { '': { [a]: one }, '/a': { [b]: other } }),
        { '/proc/self/cgroup': one },
      ]) {
        const { memory, cpus } = machine(files)
        assert.ok(memory >= 0 && memory <= Math.floor(1000 * MIB * 0.9), String(memory))
        assert.ok(cpus > 0 && cpus <= 8, String(cpus))
      }
    }),
  )
})

test('this machine has memory and CPUs to give', () => {
  const { memory, cpus } = machineResources()
  assert.ok(memory > 0 && memory < 2 ** 50 && cpus > 0 && cpus < 2 ** 16)
})
