import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type TarEntry, tarOf } from '../../../test/support/images.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { listBelow } from '../../host/folder.ts'
import { unpackLayer } from './layer.ts'

/** Lays layers over one another in `root`, beside which lies what no layer may touch. */
async function rig() {
  const temp = await tempDir()
  const root = join(temp.path, 'root')
  const outside = join(temp.path, 'outside')
  await mkdir(root)
  await mkdir(outside)
  await writeFile(join(outside, 'canary'), 'alive')
  return {
    root,
    outside,
    async unpack(...layers: readonly (readonly TarEntry[])[]): Promise<void> {
      for (const layer of layers) await unpackLayer(root, chunks(await tarOf(layer)), () => {})
    },
    /** What is outside, and whether it still says what it said. */
    async untouched(): Promise<void> {
      assert.deepEqual(await readdir(temp.path), ['outside', 'root'])
      assert.deepEqual(await readdir(outside), ['canary'])
      assert.equal(await readFile(join(outside, 'canary'), 'utf8'), 'alive')
    },
    list: () => listBelow(root),
    read: (name: string) => readFile(join(root, name), 'utf8'),
    [Symbol.asyncDispose]: temp[Symbol.asyncDispose],
  }
}

async function* chunks(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000)
}

const dir = (name: string): TarEntry => ({ name, type: 'directory' })
const link = (name: string, linkname: string): TarEntry => ({ name, type: 'symlink', linkname })
const hard = (name: string, linkname: string): TarEntry => ({ name, type: 'link', linkname })

test('a higher layer replaces what a lower one has', async () => {
  await using r = await rig()
  await r.unpack(
    [{ name: 'a', content: 'old' }, dir('b'), { name: 'b/x' }],
    [{ name: './a', content: 'new' }, { name: 'b' }],
  )
  assert.deepEqual([await r.list(), await r.read('a')], [['a', 'b'], 'new'])
})

test('a whiteout removes what lower layers have under its name, a folder with all in it', async () => {
  await using r = await rig()
  await r.unpack([{ name: 'a' }, { name: 'b/c/d' }, { name: 'k' }], [{ name: '.wh.a' }, { name: '.wh.b' }])
  assert.deepEqual(await r.list(), ['k'])
})

test('an opaque whiteout leaves only what its own layer adds, wherever it stands in it', async () => {
  await using r = await rig()
  await r.unpack(
    [{ name: 'd/old' }, { name: 'd/sub/old' }],
    [{ name: 'd/sub/new' }, { name: 'd/.wh..wh..opq' }, { name: 'd/later' }],
  )
  assert.deepEqual(await r.list(), ['d', 'd/later', 'd/sub', 'd/sub/new'])
})

test('a whiteout does not touch what its own layer adds', async () => {
  await using r = await rig()
  await r.unpack([{ name: 'a', content: 'old' }], [{ name: 'a', content: 'new' }, { name: '.wh.a' }])
  assert.equal(await r.read('a'), 'new')
})

test('a whiteout cannot name the folder above', async () => {
  await using r = await rig()
  await assert.rejects(r.unpack([{ name: '.wh...' }]), { fault: 'bad-spec' })
  await assert.rejects(r.unpack([{ name: 'd/.wh..' }]), { fault: 'bad-spec' })
  await r.untouched()
})

test('a link to a folder is followed inside of the root', async () => {
  await using r = await rig()
  await r.unpack(
    [dir('usr/lib'), link('lib', 'usr/lib'), link('abs', '/usr')],
    [{ name: 'lib/a' }, { name: 'abs/b' }],
  )
  assert.deepEqual(await r.list(), ['abs', 'lib', 'usr', 'usr/b', 'usr/lib', 'usr/lib/a'])
})

for (const up of ['..', '../..', '/..', '/../../outside'])
  test(`what is written below a link to ${up} stays inside`, async () => {
    await using r = await rig()
    await r.unpack([link('a', up), { name: 'a/outside/canary', content: 'dead' }])
    await r.untouched()
  })

test('an absolute link in a folder starts at the root', async () => {
  await using r = await rig()
  await r.unpack([dir('usr'), link('d/l', '/usr'), { name: 'd/l/a' }])
  assert.deepEqual(await r.list(), ['d', 'd/l', 'usr', 'usr/a'])
})

test('an absolute link out of the root leads to the same name inside', async () => {
  await using r = await rig()
  await symlink(r.outside, join(r.root, 'a'))
  await r.unpack([{ name: 'a/canary', content: 'dead' }])
  await r.untouched()
  assert.equal(await r.read(join(r.outside, 'canary')), 'dead')
})

test('a file in the place of a link does not go through it', async () => {
  await using r = await rig()
  await r.unpack([link('a', join(r.outside, 'canary')), { name: 'a', content: 'dead' }])
  await r.untouched()
  assert.equal(await r.read('a'), 'dead')
})

test('a hard link to a file outside is refused, also through a link', async () => {
  await using r = await rig()
  await assert.rejects(r.unpack([hard('a', join(r.outside, 'canary'))]), { fault: 'bad-spec' })
  await assert.rejects(r.unpack([hard('a', '../outside/canary')]), { fault: 'bad-spec' })
  await assert.rejects(r.unpack([link('l', r.outside), hard('a', 'l/canary')]), { fault: 'bad-spec' })
  await r.untouched()
})

test('a hard link is the same file', async () => {
  await using r = await rig()
  await r.unpack([{ name: 'd/a', content: 'one' }, hard('b', 'd/a'), hard('c', '/d/a')])
  const inodes = await Promise.all(
    ['d/a', 'b', 'c'].map(async (name) => (await stat(join(r.root, name))).ino),
  )
  assert.equal(new Set(inodes).size, 1)
})

test('replacing one name of a file leaves the other', async () => {
  await using r = await rig()
  await r.unpack([{ name: 'a', content: 'one' }, hard('b', 'a')], [{ name: 'b', content: 'two' }])
  assert.deepEqual([await r.read('a'), await r.read('b')], ['one', 'two'])
})

test('links that lead in a circle are refused', async () => {
  await using r = await rig()
  await assert.rejects(r.unpack([link('a', 'b'), link('b', 'a'), { name: 'a/x' }]), /too many links/)
})

test('a file below a file is refused', async () => {
  await using r = await rig()
  await assert.rejects(r.unpack([{ name: 'a' }, { name: 'a/b' }]), /below a file/)
})

test('devices and pipes are left out', async () => {
  await using r = await rig()
  const types = ['character-device', 'block-device', 'fifo'] as const
  await r.unpack(types.map((type) => ({ name: type, type, devmajor: 1, devminor: 3 })))
  assert.deepEqual(await r.list(), [])
})

test('all may read, a program stays one, and nothing runs with the rights of its owner', async () => {
  await using r = await rig()
  await r.unpack([
    { name: 'secret', mode: 0o600 },
    { name: 'program', mode: 0o4750 },
    { name: 'open', mode: 0o666 },
    { ...dir('shared'), mode: 0o1777 },
  ])
  const modes = await Promise.all(
    (await r.list()).map(async (name) => (await stat(join(r.root, name))).mode & 0o7777),
  )
  assert.deepEqual(modes, [0o644, 0o755, 0o644, 0o755])
})

test('a link keeps its target, wherever that is', async () => {
  await using r = await rig()
  await r.unpack([link('a', '/etc/passwd')])
  assert.equal(await readlink(join(r.root, 'a')), '/etc/passwd')
})

test('a tar that is cut off is an error', async () => {
  await using r = await rig()
  const tar = await tarOf([{ name: 'a', content: 'x'.repeat(5_000) }])
  await assert.rejects(unpackLayer(r.root, chunks(tar.subarray(0, 2_000)), () => {}))
})

const part = fc.constantFrom(
  '..',
  '.',
  '',
  'a',
  'b',
  'outside',
  'canary',
  '.wh.a',
  '.wh..',
  '.wh...',
  '.wh..wh..opq',
)
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/') || 'a')
const entry = fc.record({
  name: path,
  type: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const, 'link' as const),
  linkname: fc.oneof(
    path,
    path.map((text) => `/${text}`),
  ),
  content: fc.constant(''),
})

test('no layer reaches what is outside, whatever its entries are called', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
      await using r = await rig()
      for (const one of entries) await r.unpack([one]).catch((error) => assert.equal(error.fault, 'bad-spec'))
      await r.untouched()
    }),
    { numRuns: 150 },
  )
})
