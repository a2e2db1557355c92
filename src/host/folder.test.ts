import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../test/support/temp.ts'
import { listBelow, makeFolder } from './folder.ts'

test('a folder is listed without what its links lead to', async () => {
  await using temp = await tempDir()
  await mkdir(join(temp.path, 'a', 'b'), { recursive: true })
  await symlink(join(temp.path, 'a'), join(temp.path, 'link'))
  assert.deepEqual(await listBelow(temp.path), ['a', 'a/b', 'link'])
})

test('a folder that could not be filled is not there, nor is a half of it', async () => {
  await using temp = await tempDir()
  const fill = async (dir: string) => {
    await writeFile(join(dir, 'one'), '')
    throw new Error('no more')
  }
  await assert.rejects(makeFolder(join(temp.path, 'x'), fill), /no more/)
  assert.deepEqual(await readdir(temp.path), [])
})

test('a folder that is there is not filled again', async () => {
  await using temp = await tempDir()
  await makeFolder(join(temp.path, 'x'), (dir) => writeFile(join(dir, 'by'), 'first'))
  await makeFolder(join(temp.path, 'x'), (dir) => writeFile(join(dir, 'by'), 'second'))
  assert.equal(await readFile(join(temp.path, 'x', 'by'), 'utf8'), 'first')
})

test('what another living maker fills is left to it, what a killed one left is removed', async () => {
  await using temp = await tempDir()
  const [living, dead] = [process.ppid, spawnSync('true').pid].map((pid) => `.half-${pid}-abcdef`)
  for (const name of [living, dead]) await mkdir(join(temp.path, name as string))
  await makeFolder(join(temp.path, 'x'), async () => {})
  assert.deepEqual((await readdir(temp.path)).sort(), [living, 'x'])
})

test('makers at once do not take each other’s work away', async () => {
  await using temp = await tempDir()
  await Promise.all(
    ['x', 'y', 'x', 'z'].map((name) =>
      makeFolder(join(temp.path, name), async (dir) => {
        for (let at = 0; at < 20; at++) await writeFile(join(dir, `${at}`), '')
      }),
    ),
  )
  assert.deepEqual((await readdir(temp.path)).sort(), ['x', 'y', 'z'])
  for (const name of ['x', 'y', 'z']) assert.equal((await readdir(join(temp.path, name))).length, 20)
})
