import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Header, pack } from 'tar-stream'
import { tempDir } from '../../test/support/temp.ts'
import type { BundleStore } from '../store/store.ts'
import { BundleCache } from './bundles.ts'

/** A tar of entries, and its digest. */
async function tarOf(
  ...entries: [Partial<Header> & { name: string }, string?][]
): Promise<{ tar: Buffer; digest: string }> {
  const packing = pack()
  for (const [header, text] of entries) packing.entry(header, text ?? '')
  packing.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of packing) chunks.push(chunk as Uint8Array)
  const tar = Buffer.concat(chunks)
  return { tar, digest: createHash('sha256').update(tar).digest('hex') }
}

function storeOf(bundles: Record<string, Uint8Array>): BundleStore & { reads: number } {
  return {
    reads: 0,
    put: async () => {},
    async get(digest) {
      this.reads++
      return bundles[digest]
    },
    has: async (digest) => digest in bundles,
    sweep: async () => 0,
  }
}

const cacheOf = (dir: string, store: BundleStore, wall = () => Date.now()) =>
  new BundleCache({ dir, store, wall })

test('a bundle is fetched once and unpacked read-only', async () => {
  await using temp = await tempDir()
  const { tar, digest } = await tarOf(
    [{ name: 'lib/', type: 'directory' }],
    [{ name: 'lib/a.js' }, 'code'],
    [{ name: 'run', mode: 0o755 }, ''],
  )
  const store = storeOf({ [digest]: tar })
  const cache = cacheOf(temp.path, store)
  const [dir, again] = await Promise.all([cache.open(digest), cache.open(digest)])
  assert.equal(dir, again)
  assert.equal(store.reads, 1)
  assert.equal(await readFile(join(dir, 'lib/a.js'), 'utf8'), 'code')
  const mode = async (name: string) => (await stat(join(dir, name))).mode & 0o777
  assert.deepEqual([await mode('lib'), await mode('lib/a.js'), await mode('run')], [0o555, 0o444, 0o555])
})

test('a bundle whose content is not what its digest says is refused', async () => {
  await using temp = await tempDir()
  const { tar } = await tarOf([{ name: 'a.js' }, 'code'])
  const other = '0'.repeat(64)
  await assert.rejects(cacheOf(temp.path, storeOf({ [other]: tar })).open(other), {
    code: 'no-image',
    detail: /was refused/,
  })
  assert.deepEqual(await readdir(temp.path), [])
})

test('entries that leave the folder, and links, are refused and leave nothing', async () => {
  const bad: (Partial<Header> & { name: string })[] = [
    { name: '../out' },
    { name: '/etc/out' },
    { name: 'a/../../out' },
    { name: 'link', type: 'symlink', linkname: '/etc/passwd' },
    { name: 'link', type: 'link', linkname: 'other' },
  ]
  for (const header of bad) {
    await using temp = await tempDir()
    const { tar, digest } = await tarOf([header, header.type ? undefined : 'x'] as [Header, string?])
    await assert.rejects(cacheOf(temp.path, storeOf({ [digest]: tar })).open(digest), { code: 'no-image' })
    assert.deepEqual(await readdir(temp.path), [], header.name)
  }
})

test('a failed fetch is tried again by the next call', async () => {
  await using temp = await tempDir()
  const { tar, digest } = await tarOf([{ name: 'a.js' }, 'code'])
  const bundles: Record<string, Uint8Array> = {}
  const cache = cacheOf(temp.path, storeOf(bundles))
  await assert.rejects(cache.open(digest), { code: 'no-image' })
  bundles[digest] = tar
  assert.equal(await cache.open(digest), join(temp.path, digest))
})

test('a sweep removes what the store has no more and what was left half-made, and nothing else', async () => {
  await using temp = await tempDir()
  const { tar, digest } = await tarOf([{ name: 'lib/a.js' }, 'code'])
  const kept = await tarOf([{ name: 'b.js' }, 'code'])
  const bundles: Record<string, Uint8Array> = { [digest]: tar, [kept.digest]: kept.tar }
  const cache = cacheOf(temp.path, storeOf(bundles))
  await Promise.all([cache.open(digest), cache.open(kept.digest)])
  await mkdir(join(temp.path, '.old-half'))
  await utimes(join(temp.path, '.old-half'), 0, 0)
  await mkdir(join(temp.path, '.new-half'))
  await chmod(join(temp.path, digest), 0o755)
  delete bundles[digest]
  await cache.sweep()
  assert.deepEqual((await readdir(temp.path)).sort(), ['.new-half', kept.digest].sort())
  await assert.rejects(cache.open(digest), { code: 'no-image' })
})
