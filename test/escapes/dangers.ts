import { existsSync } from 'node:fs'
import { CANARY_VARIABLE, type Grounds } from './grounds.ts'
import { asRoot, asUser, type Control, inside, nowhere, type Row, withoutFilter } from './row.ts'

/** Capability. */
const SYS_RESOURCE = 24

/** The dangers to a machine and to other containers, one row a way to get at them. */
export function dangerRows(grounds: Grounds): Row[] {
  return [
    ...kernel(),
    ...files(grounds),
    ...processes(grounds),
    ...sockets(grounds),
    ...rights(),
    ...amounts(),
  ].map(([attempt, what, control]) => ({ attempt, what, control }))
}

/** What means nothing to a container whose user is root inside. */
export const isAboutUsers = ({ attempt }: Row): boolean => attempt === 'root' || attempt.startsWith('setuid=')

type Entry = readonly [attempt: string, what: string, control: Control]

/** Of the kernel's files, those that this kernel has. */
const WRITTEN = [
  'sys/kernel/core_pattern',
  'sys/kernel/modprobe',
  'sys/kernel/hostname',
  'sys/vm/overcommit_memory',
  'sys/vm/drop_caches',
  'sys/net/ipv4/ip_forward',
  'sysrq-trigger',
  'irq/default_smp_affinity',
  'pressure/memory',
] as const
const READ = ['kcore', 'kmsg', 'keys', 'timer_list', 'kpageflags', 'vmallocinfo'] as const

function kernel(): Entry[] {
  const here = (names: readonly string[]) => names.filter((name) => existsSync(`/proc/${name}`))
  return [
    ...here(WRITTEN).map((name): Entry => [`write=/proc/${name}`, `writing /proc/${name}`, asRoot]),
    ...here(READ).map((name): Entry => [`read=/proc/${name}`, `reading /proc/${name}`, asRoot]),
    ['read=/dev/kmsg', "reading the kernel's log", asRoot],
    ['kernel-log', "asking for the kernel's log", asRoot],
    ['hostname', "setting the host's name", asRoot],
    ['devices', 'devices that are not harmless', asRoot],
    ['read=/sys/kernel', 'looking at the kernel in /sys', asRoot],
    [`write=${groupFile()}`, 'moving to another control group', asRoot],
  ]
}

/** Takes the processes that are moved to the uppermost control group. */
function groupFile(): string {
  const files = ['/sys/fs/cgroup/cgroup.procs', '/sys/fs/cgroup/pids/cgroup.procs']
  return files.find((file) => existsSync(file)) as string
}

/** Folders that are on every machine, where root may write, and those that are not. */
const FOLDERS = ['/', '/bin', '/etc', '/lib', '/lib64'] as const
const OWN_FOLDERS = ['/function', '/sluice', '/dev', '/proc', '/proc/sys'] as const

function files({ canary, token, neighbours: [{ pid }] }: Grounds): Entry[] {
  return [
    [`read=${canary}`, 'a file outside', asRoot],
    [`read=${canary}`.replace('=/', '=../../../../../../../'), 'a file outside, upwards', asRoot],
    [`read=/proc/self/root${canary}`, 'a file outside, by its own root', asRoot],
    [
      `read=/proc/1/cwd/../..${canary}`,
      'a file outside, by the folder of its first process',
      nowhere('root reads it by its plain path'),
    ],
    [`read=${token}`, "a secret of the node's", asRoot],
    [`read=/proc/${pid}/root/tmp/canary`, "another container's file", asRoot],
    [
      'read=/tmp/canary',
      "another container's file by its own name",
      nowhere('it is in the other container alone'),
    ],
    ['read=device', 'a device in the bundle', asRoot],
    ['device=/tmp', 'making a device', asRoot],
    ['writable=/', 'anything that can be written outside its folders', asRoot],
    ...FOLDERS.map((folder): Entry => [`make-file=${folder}`, `a new file in ${folder}`, asRoot]),
    ...OWN_FOLDERS.map(
      (folder): Entry => [`make-file=${folder}`, `a new file in ${folder}`, inside('make-file=/tmp')],
    ),
    ['make-file=open', 'a new file in a folder of its bundle that is open to all', asUser],
    ['make-file=/open', 'a new file in a folder of its root that is open to all', inside('make-file=/tmp')],
    ['mount', 'mounting', asRoot],
    ['remount', 'making its root writable', asRoot],
  ]
}

function processes({ neighbours: [{ pid }] }: Grounds): Entry[] {
  return [
    [`kill=${process.pid}`, "the node's process", asRoot],
    [`kill=${pid}`, "another container's process", asRoot],
    [`read=/proc/${process.pid}/environ`, "the node's environment", asRoot],
    [`read=/proc/${pid}/environ`, "another container's environment", asRoot],
    [`variable=${CANARY_VARIABLE}`, "a variable of the node's", asRoot],
    ['descriptors', 'descriptors besides the three', asRoot],
  ]
}

function sockets({ ears: { path, name, port } }: Grounds): Entry[] {
  return [
    [`unix=${path}`, "this machine's socket, by its path", asRoot],
    [`abstract=${name}`, "this machine's socket, by its abstract name", asRoot],
    [`tcp=${port}`, "this machine's port", asRoot],
    [
      'abstract=sluice-neighbour',
      "another container's socket",
      nowhere('it is in the other container alone'),
    ],
  ]
}

function rights(): Entry[] {
  return [
    ['status=CapEff: 0000000000000000', 'rights that it has', asRoot],
    ['status=CapPrm: 0000000000000000', 'rights that it may take', asRoot],
    ['status=CapBnd: 0000000000000000', 'rights that a program could give it', asRoot],
    ['status=NoNewPrivs: 1', 'new rights by running a program', asRoot],
    ['status=Seccomp: 2', 'no filter of system calls', withoutFilter],
    ['root', 'becoming root', asRoot],
    ['capability', 'taking a right', asRoot],
    ['setuid=./setuid', "root's program that runs as root", asUser],
    ['raise-limit', 'raising its own limits', { where: 'root', capability: SYS_RESOURCE }],
    ['priority', 'running before others', asRoot],
    [
      'memory-killer',
      'being the last that is killed for memory',
      { where: 'root', capability: SYS_RESOURCE },
    ],
  ]
}

/** More than the spec of an attempt gives. */
function amounts(): Entry[] {
  return [
    ['fill=/tmp:16', 'more temporary files than it may have', inside('fill=/tmp:2')],
    ['fill=/tmp/iofs:1', "files in its socket's folder", inside('make-file=/tmp/iofs')],
    ['forks=100', 'more processes than it may have', inside('forks=20')],
  ]
}
