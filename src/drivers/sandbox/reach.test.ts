import assert from 'node:assert/strict'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { findBarrier, reaches, rememberReads } from './reach.ts'

const stranger = { uid: 234_567, gid: 234_567 }
let temp: Awaited<ReturnType<typeof tempDir>>
let dir: string

beforeEach(async () => {
  temp = await tempDir()
  dir = join(temp.path, 'outer', 'inner')
  await mkdir(dir, { recursive: true })
  await Promise.all([chmod(join(temp.path, 'outer'), 0o711), chmod(dir, 0o755)])
})
afterEach(() => temp[Symbol.asyncDispose]())

test('a folder that everybody may pass is no barrier', async () => {
  assert.equal(await findBarrier(dir, stranger), undefined)
  assert.equal(await reaches(dir, stranger, false), true)
})

test('the first folder that a user may not pass is the barrier', async () => {
  await chmod(join(temp.path, 'outer'), 0o700)
  assert.equal(await findBarrier(dir, stranger), join(temp.path, 'outer'))
  assert.equal(await reaches(dir, stranger, false), false)
})

test('the owner and its group pass where strangers do not', async () => {
  await chmod(join(temp.path, 'outer'), 0o710)
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  assert.equal(await findBarrier(dir, { uid, gid: 1 }), undefined)
  assert.equal(await findBarrier(dir, { ...stranger, gid }), undefined)
})

test('writing takes the right to write', async () => {
  assert.equal(await reaches(dir, stranger, true), false)
  await chmod(dir, 0o777)
  assert.equal(await reaches(dir, stranger, true), true)
})

test('a bundle is readable when everything in it is; what links lead to does not count', async () => {
  await mkdir(join(dir, 'lib'))
  await writeFile(join(dir, 'lib', 'a.js'), '', { mode: 0o644 })
  await symlink('/nowhere', join(dir, 'link'))
  assert.equal(await rememberReads()(dir, stranger), true)
  await chmod(join(dir, 'lib', 'a.js'), 0o640)
  assert.equal(await rememberReads()(dir, stranger), false)
})

test('a bundle that was changed at its top is looked at again', async () => {
  const reads = rememberReads()
  assert.equal(await reads(dir, stranger), true)
  await writeFile(join(dir, 'secret'), '', { mode: 0o600 })
  assert.equal(await reads(dir, stranger), false)
})
