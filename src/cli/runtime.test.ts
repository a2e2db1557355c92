import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../test/support/cli.ts'
import { tempDir } from '../../test/support/temp.ts'

test('it makes the runtime, says what and where it is, and writes its image', async () => {
  await using temp = await tempDir()
  const argv = ['runtime', 'build', '--data-dir', 'data', '--output', 'image.tar', '--json']
  const { code, stdout, stderr } = await runCli(argv, { cwd: temp.path })
  assert.equal(code, 0, stderr)
  const { version, bytes, path, image, output } = JSON.parse(stdout)
  assert.deepEqual([image, output], [`sluice-runtime:${version}`, 'image.tar'])
  assert.equal(path, join(temp.path, 'data', 'runtime', version, 'rootfs'))
  assert.ok((await stat(join(path, 'bin', 'node'))).isFile())
  assert.ok((await stat(join(temp.path, 'image.tar'))).size > bytes)
  assert.match(stderr, /copying Node/)
})

test('a data folder that cannot be made is one clear line', async () => {
  await using temp = await tempDir()
  await writeFile(join(temp.path, 'file'), '')
  const { code, stderr } = await runCli(['runtime', 'build', '--data-dir', 'file/x'], { cwd: temp.path })
  assert.deepEqual([code, stderr.split('\n').length], [7, 2])
  assert.match(stderr, /^sluice: Data folder not available: ENOTDIR/)
})

test('an image that cannot be written leaves nothing beside it', async () => {
  await using temp = await tempDir()
  const argv = ['runtime', 'build', '--data-dir', '.', '--output', 'no/such/file.tar']
  const { code, stderr } = await runCli(argv, { cwd: temp.path })
  assert.equal(code, 2)
  assert.match(stderr, /sluice: cannot write .*file\.tar: ENOENT/)
  assert.deepEqual(await readdir(temp.path), ['runtime'])
})
