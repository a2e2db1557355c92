import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../test/support/temp.ts'
import { type GroupDirs, groupOf, readMounts, topsOf } from './hierarchies.ts'

/** What a process with these two files of /proc is told. */
async function read(mountinfo: string, cgroup: string): Promise<{ group: GroupDirs; tops: string[] }> {
  await using proc = await tempDir()
  mkdirSync(join(proc.path, 'self'))
  writeFileSync(join(proc.path, 'self/mountinfo'), mountinfo)
  writeFileSync(join(proc.path, 'self/cgroup'), cgroup)
  const mounts = readMounts(proc.path)
  return { group: groupOf('self', mounts, proc.path), tops: topsOf(mounts) }
}

test('v2 alone is one directory', async () => {
  const { group, tops } = await read(
    '29 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n',
    '0::/system.slice/sluice.service\n',
  )
  assert.deepEqual(group, { unified: '/sys/fs/cgroup/system.slice/sluice.service' })
  assert.deepEqual(tops, ['/sys/fs/cgroup'])
})

test('a hybrid has a directory for each v1 controller and one in the v2 tree; cpu and cpuacct may share one', async () => {
  const { group } = await read(
    [
      '25 24 0:22 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755',
      '26 25 0:23 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw',
      '27 25 0:24 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd',
      '31 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct',
      '33 25 0:30 / /sys/fs/cgroup/memory rw shared:17 - cgroup cgroup rw,memory',
      '',
    ].join('\n'),
    '5:cpu,cpuacct:/user.slice\n3:memory:/user.slice/a:b\n1:name=systemd:/user.slice\n0::/user.slice\n',
  )
  assert.deepEqual(group, {
    memory: '/sys/fs/cgroup/memory/user.slice/a:b',
    cpu: '/sys/fs/cgroup/cpu,cpuacct/user.slice',
    cpuacct: '/sys/fs/cgroup/cpu,cpuacct/user.slice',
    unified: '/sys/fs/cgroup/unified/user.slice',
  })
})

test('a container that sees its own part of a tree finds itself at the top of it', async () => {
  const { group } = await read(
    '700 699 0:28 /docker/4f2a /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n',
    '8:pids:/docker/4f2a/inner\n0::/\n',
  )
  assert.deepEqual(group, { pids: '/sys/fs/cgroup/pids/inner' })
})

test('a group outside of what is mounted is not found', async () => {
  const mountinfo = '700 699 0:28 /docker/4f2a /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n'
  for (const path of ['/docker/4f2abc', '/', '/../other'])
    assert.deepEqual((await read(mountinfo, `8:pids:${path}\n`)).group, {})
})

test('a mount point with a space is read as the kernel writes it', async () => {
  const { group } = await read('29 24 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n', '0::/a\n')
  assert.deepEqual(group, { unified: '/my groups/a' })
})
