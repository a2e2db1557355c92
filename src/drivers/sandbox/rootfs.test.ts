import assert from 'node:assert/strict'
import { existsSync, lstatSync } from 'node:fs'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { makeMountPoint } from './rootfs.ts'

let temp: Awaited<ReturnType<typeof tempDir>>
let rootfs: string

beforeEach(async () => {
  temp = await tempDir()
  rootfs = join(temp.path, 'rootfs')
  await mkdir(rootfs)
})
afterEach(() => temp[Symbol.asyncDispose]())

test('what is missing is made, for everybody to pass', () => {
  makeMountPoint(rootfs, '/a/b/c', 'folder')
  makeMountPoint(rootfs, '/etc/hosts', 'file')
  assert.equal(lstatSync(join(rootfs, 'a/b')).mode & 0o777, 0o755)
  assert.equal(lstatSync(join(rootfs, 'etc/hosts')).isFile(), true)
})

test('what is there stays as it is', async () => {
  await writeFile(join(rootfs, 'file'), 'text')
  makeMountPoint(rootfs, '/file', 'file')
  assert.equal(lstatSync(join(rootfs, 'file')).size, 4)
})

test('what is something else is refused', async () => {
  await writeFile(join(rootfs, 'file'), '')
  for (const [target, kind] of [
    ['/file', 'folder'],
    ['/file/below', 'folder'],
    ['/', 'file'],
  ] as const)
    if (target !== '/') assert.throws(() => makeMountPoint(rootfs, target, kind), { fault: 'bad-spec' })
})

test('a link out of the rootfs is never followed', async () => {
  const outside = join(temp.path, 'outside')
  await mkdir(outside)
  await symlink(outside, join(rootfs, 'data'))
  await symlink(join(outside, 'new'), join(rootfs, 'dangling'))
  assert.throws(() => makeMountPoint(rootfs, '/data/x', 'folder'), { fault: 'bad-spec' })
  assert.throws(() => makeMountPoint(rootfs, '/data', 'folder'), { fault: 'bad-spec' })
  assert.throws(() => makeMountPoint(rootfs, '/dangling', 'file'), { fault: 'bad-spec' })
  assert.deepEqual(await readdir(outside), [])
  assert.equal(existsSync(join(outside, 'new')), false)
})
