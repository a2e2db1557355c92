import assert from 'node:assert/strict'
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { smallDisk } from '../../test/support/small-disk.ts'
import { tempDir } from '../../test/support/temp.ts'
import { openDataDir } from './data-dir.ts'

test('a data folder is made for its owner alone and belongs to one at a time', async () => {
  await using temp = await tempDir()
  const dir = join(temp.path, 'state')
  const first = openDataDir(dir)
  assert.equal(statSync(dir).mode & 0o777, process.getuid?.() === 0 ? 0o711 : 0o700)
  assert.throws(() => openDataDir(dir), { code: 'data-dir', message: /in use by another process/ })
  first[Symbol.dispose]()
  openDataDir(dir)[Symbol.dispose]()
})

test('a project around a data folder does not say how the modules in it are read', async () => {
  await using temp = await tempDir()
  writeFileSync(join(temp.path, 'package.json'), '{ "type": "commonjs" }')
  using dir = openDataDir(join(temp.path, '.sluice'))
  const module = pathToFileURL(join(dir.path, 'bundles', 'digest', 'func.js'))
  assert.equal(findPackageJSON('.', module), join(dir.path, 'package.json'))
})

test('a folder that cannot be made is one clear error', async () => {
  await using temp = await tempDir()
  writeFileSync(join(temp.path, 'file'), '')
  assert.throws(() => openDataDir(join(temp.path, 'file', 'state')), {
    code: 'data-dir',
    message: /not writable/,
  })
})

test('the token is read from a file that nobody else can read', async () => {
  await using temp = await tempDir()
  const file = join(temp.path, 'token')
  writeFileSync(file, 'secret\n', { mode: 0o600 })
  {
    using dir = openDataDir(temp.path)
    assert.equal(dir.token, 'secret')
  }
  chmodSync(file, 0o644)
  assert.throws(() => openDataDir(temp.path), { code: 'data-dir', message: /chmod 600/ })
})

test('a folder that can never be made is an error at once', () => {
  for (const dir of ['/proc/x', '/proc/x/y/z', '/dev/null/x'])
    assert.throws(() => openDataDir(dir), { code: 'data-dir', message: /is not writable: (ENOENT|ENOTDIR)/ })
})

test('a full disk is told from a folder that somebody else has', async (t) => {
  await using disk = await smallDisk('64k')
  if (!disk) return t.skip('no small file system can be mounted here')
  const dir = join(disk.path, 'state')
  await disk.fill()
  assert.throws(() => openDataDir(dir), { code: 'data-dir', message: /disk is full|no space left/i })
  await disk.free()
  using _ = openDataDir(dir)
  assert.throws(() => openDataDir(dir), { code: 'data-dir', message: /in use by another process/ })
})
