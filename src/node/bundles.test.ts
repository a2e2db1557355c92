import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, rename, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Header } from 'tar-stream'
import { tarOf, tarOfMany } from '../../test/support/tar.ts'
import { tempDir } from '../../test/support/temp.ts'
import { countTurns } from '../../test/support/turns.ts'
import { until } from '../../test/support/until.ts'
import type { BundleStore } from '../store/store.ts'
import { BundleCache, type BundleSource } from './bundles.ts'

function storeOf(bundles: Record<string, Uint8Array>): BundleStore & { reads: number } {
  return {
    reads: 0,
    put: async () => {},
    async get(digest) {
      this.reads++
      const tar = bundles[digest]
      return tar && { size: tar.length, read: () => Readable.from([tar]) }
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
  const [{ dir }, again] = await Promise.all([cache.open(digest), cache.open(digest)])
  assert.deepEqual(again, { kind: 'bundle', dir })
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
  assert.equal((await cache.open(digest)).dir, join(temp.path, digest))
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

test('a fetch that hangs ends with its signal, for each who waits by itself, and the next one begins anew', async () => {
  await using temp = await tempDir()
  const { tar, digest } = await tarOf([{ name: 'a.js' }, 'code'])
  const store = storeOf({ [digest]: tar })
  const heard: unknown[] = []
  let hangs = false
  const well = store.get.bind(store)
  store.get = async () => ({
    size: tar.length,
    async *read(signal) {
      yield tar.subarray(0, 512)
      hangs = true
      await new Promise((resolve) => signal?.addEventListener('abort', resolve))
      heard.push(signal?.reason)
      throw signal?.reason
    },
  })
  const cache = cacheOf(temp.path, store)
  const [first, second] = [new AbortController(), new AbortController()]
  const opening = [cache.open(digest, first.signal), cache.open(digest, second.signal)]
  await until('the fetch hangs', () => hangs)
  first.abort(new Error('first'))
  await assert.rejects(opening[0] as Promise<BundleSource>, { message: 'first' })
  assert.deepEqual(heard, [])
  second.abort(new Error('second'))
  await assert.rejects(opening[1] as Promise<BundleSource>, { message: 'second' })
  await until('the store hears of it', () => heard.length === 1)
  store.get = well
  const { dir } = await cache.open(digest, new AbortController().signal)
  assert.equal(dir, join(temp.path, digest))
})

test('a store that never answers holds nobody beyond the signal', async () => {
  await using temp = await tempDir()
  const store = storeOf({})
  let asked = false
  store.get = () => {
    asked = true
    return new Promise(() => {})
  }
  const ending = new AbortController()
  const opening = cacheOf(temp.path, store).open('a'.repeat(64), ending.signal)
  await until('the store is asked', () => asked)
  ending.abort(new Error('enough'))
  await assert.rejects(opening, { message: 'enough' })
})

test('the loop turns while a bundle of 100 MB is checked and unpacked', async () => {
  await using temp = await tempDir()
  const { tar, digest } = await tarOf([{ name: 'large' }, Buffer.alloc(100 * 1_048_576 - 2_048)])
  using turns = countTurns()
  await cacheOf(temp.path, storeOf({ [digest]: tar })).open(digest)
  assert.ok(turns.count > 1_000, `${turns.count} turns`)
  assert.equal((await stat(join(temp.path, digest, 'large'))).size, 100 * 1_048_576 - 2_048)
})

test('many files are unpacked while the loop turns', async () => {
  await using temp = await tempDir()
  const { tar, digest } = tarOfMany(2_000)
  using turns = countTurns()
  const { dir } = await cacheOf(temp.path, storeOf({ [digest]: tar })).open(digest)
  assert.equal((await readdir(join(dir, 'd7'))).length, 20)
  assert.ok(turns.count > 200, `${turns.count} turns`)
})

test('who opens a bundle while it is swept gets the whole of it, or nothing', async () => {
  await using temp = await tempDir()
  const entries = Array.from({ length: 300 }, (_, i) => [{ name: `d${i % 10}/f${i}` }, 'x'])
  const { tar, digest } = await tarOf(...(entries as [Header, string][]))
  const bundles: Record<string, Uint8Array> = { [digest]: tar }
  const store = storeOf(bundles)
  const cache = cacheOf(temp.path, store)
  await cache.open(digest)
  const opened: Promise<number>[] = []
  const open = async () => (await readdir((await cache.open(digest)).dir, { recursive: true })).length
  // It was gone when the sweep asked, and is deployed again at that moment.
  store.has = async () => {
    opened.push(open())
    return false
  }
  const sweeping = cache.sweep()
  for (let i = 0; i < 50; i++) {
    await turn()
    opened.push(open())
  }
  await sweeping
  opened.push(open())
  for (const count of await Promise.all(opened)) assert.equal(count, 310)
})

test('the JavaScript of its TypeScript is made beside a bundle, in place, and swept with it', async () => {
  await using temp = await tempDir()
  const { tar, digest } = await tarOf(
    [{ name: 'func.ts' }, 'export const a: number = 1'],
    [{ name: 'lib/b.cts' }, 'const b: number = 1'],
    [{ name: 'enum.ts' }, 'enum A { B }'],
    [{ name: 'types.d.ts' }, 'declare const a: number'],
    [{ name: 'node_modules/x/y.ts' }, 'const y: number = 1'],
  )
  const bundles: Record<string, Uint8Array> = { [digest]: tar }
  const cache = cacheOf(temp.path, storeOf(bundles))
  const { dir, stripped = '' } = await cache.open(digest)
  assert.equal(await readFile(join(dir, 'func.ts'), 'utf8'), 'export const a: number = 1')
  assert.equal(await readFile(join(stripped, 'func.ts'), 'utf8'), 'export const a         = 1')
  assert.deepEqual((await readdir(stripped, { recursive: true })).sort(), ['func.ts', 'lib', 'lib/b.cts'])
  // A process that was killed in between left it without its bundle.
  delete bundles[digest]
  await rename(dir, join(temp.path, '.away'))
  await cache.sweep()
  assert.deepEqual(await readdir(temp.path), ['.away'])
})
