import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { tarOf, tarOfMany } from '../../test/support/tar.ts'
import { checkedBundle, entriesOf, MOST_ENTRIES } from './bundle.ts'

const inPieces = (tar: Buffer, size: number) =>
  Readable.from(
    Array.from({ length: Math.ceil(tar.length / size) }, (_, i) => tar.subarray(i * size, (i + 1) * size)),
  )

test('the entries of a bundle are told with their content, whatever the pieces', async () => {
  const { tar } = await tarOf(
    [{ name: './lib/', type: 'directory' }],
    [{ name: './lib/a.js' }, 'x'.repeat(700)],
    [{ name: 'run', mode: 0o755 }, ''],
    [{ name: `${'deep/'.repeat(60)}file` }, 'deep'],
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: tar.length }), async (size) => {
      const seen: unknown[] = []
      for await (const { path, kind, executable, content } of entriesOf(inPieces(tar, size)))
        seen.push([path, kind, executable, Buffer.concat(await Array.fromAsync(content)).toString()])
      assert.deepEqual(seen, [
        ['lib', 'folder', true, ''],
        ['lib/a.js', 'file', false, 'x'.repeat(700)],
        ['run', 'file', true, ''],
        [`${'deep/'.repeat(60)}file`, 'file', false, 'deep'],
      ])
      const passed = await Array.fromAsync(checkedBundle(inPieces(tar, size)))
      assert.ok(Buffer.concat(passed).equals(tar))
    }),
    { numRuns: 30 },
  )
})

test('whatever the bytes are, a bundle is passed on whole or refused', async () => {
  const { tar } = await tarOf([{ name: 'a' }, 'x'.repeat(600)], [{ name: 'b/c' }, 'y'])
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { maxLength: 20 }),
      fc.nat(tar.length),
      async (changes, cut) => {
        const bytes = Buffer.from(tar.subarray(0, cut))
        for (const [at, value] of changes) if (at < cut) bytes[at] = value
        const passed = await Array.fromAsync(checkedBundle(inPieces(bytes, 300))).catch(() => undefined)
        if (passed) assert.ok(Buffer.concat(passed).equals(bytes))
      },
    ),
  )
})

test('a bundle has at most so many files and folders', async () => {
  const count = async (files: number) => {
    let seen = 0
    for await (const _ of entriesOf(inPieces(tarOfMany(files).tar, 1_048_576))) seen++
    return seen
  }
  assert.equal(await count(MOST_ENTRIES), MOST_ENTRIES)
  await assert.rejects(count(MOST_ENTRIES + 1), { message: 'it must have at most 20000 files and folders' })
})

test('what goes wrong where the pieces come from is what is told', async () => {
  const { tar } = await tarOf([{ name: 'a' }, 'x'.repeat(600)])
  const broken = async function* () {
    yield tar.subarray(0, 600)
    throw new Error('gone')
  }
  const read = async () => {
    for await (const { content } of entriesOf(broken())) await Array.fromAsync(content)
  }
  await assert.rejects(read(), { message: 'gone' })
  await assert.rejects(Array.fromAsync(checkedBundle(broken())), { message: 'gone' })
})
