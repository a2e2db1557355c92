import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, open, symlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { extract } from 'tar-stream'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { BUNDLE_LIMIT, formatSize, listTree, makeTar } from './tar.ts'

const { signal } = new AbortController()
const none = () => false
const root = process.getuid?.() === 0

async function tarOf(dir: string): Promise<Uint8Array> {
  return await makeTar(dir, await listTree(dir, none, signal), signal)
}

const digestOf = async (dir: string) =>
  createHash('sha256')
    .update(await tarOf(dir))
    .digest('hex')

async function entriesOf(tar: Uint8Array) {
  const entries: { name: string; mode: number | undefined; content: string; owner: unknown[] }[] = []
  const stream = extract()
  stream.end(tar)
  for await (const entry of stream) {
    const { name, mode, uid, gid, mtime, uname, gname } = entry.header
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    const owner = [uid, gid, mtime?.getTime(), uname, gname]
    entries.push({ name, mode, content: Buffer.concat(chunks).toString(), owner })
  }
  return entries
}

/** Names that no file system folds together, files in one or two folders. */
const name = fc.stringMatching(/^[a-z0-9_.äß€ﬀ😀-]{1,12}$/u).filter((text) => !/^\.+$/.test(text))
const path = fc
  .tuple(fc.constantFrom('', 'd/', 'd/e/', `${'long'.repeat(30)}/`), name)
  .map(([folder, file]) => `${folder}f-${file.normalize('NFC')}`)
const trees = fc.dictionary(path, fc.uint8Array({ maxLength: 700 }), { minKeys: 1, maxKeys: 6 })

test('the same content has the same digest, whatever its times, order, owners and other mode bits', async () => {
  await fc.assert(
    fc.asyncProperty(trees, fc.nat(2 ** 31), async (tree, seconds) => {
      await using one = await tempDir()
      await using two = await tempDir()
      await writeFiles(one.path, tree)
      await writeFiles(two.path, Object.fromEntries(Object.entries(tree).reverse()))
      for (const file of Object.keys(tree)) {
        await chmod(join(two.path, file), 0o666)
        await utimes(join(two.path, file), seconds, seconds)
        if (root) await chown(join(two.path, file), 1234, 1234)
      }
      assert.equal(await digestOf(two.path), await digestOf(one.path))
    }),
    { numRuns: 25 },
  )
})

test('a changed byte, name or executable bit changes the digest', async () => {
  await using dir = await tempDir()
  const digests = new Set<string>()
  await writeFiles(dir.path, { 'a/b': 'x' })
  digests.add(await digestOf(dir.path))
  await writeFiles(dir.path, { 'a/b': 'y' })
  digests.add(await digestOf(dir.path))
  await chmod(join(dir.path, 'a/b'), 0o755)
  digests.add(await digestOf(dir.path))
  await writeFiles(dir.path, { 'a/c': '' })
  digests.add(await digestOf(dir.path))
  assert.equal(digests.size, 4)
})

test('a tar holds every file as it is, nobody’s, of 1970', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(path, fc.string({ unit: 'binary', maxLength: 700 }), { maxKeys: 6 }),
      async (tree) => {
        await using dir = await tempDir()
        await writeFiles(dir.path, tree)
        const expected = Object.entries(tree).map(([name, content]) => ({
          name,
          mode: 0o644,
          content: Buffer.from(content).toString(),
          owner: [0, 0, 0, '', ''],
        }))
        const sorted = expected.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
        assert.deepEqual(await entriesOf(await tarOf(dir.path)), sorted)
      },
    ),
    { numRuns: 25 },
  )
})

test('files are in the order of the bytes of their names', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { '😀': '', ﬀ: '', 'a/b': '', 'a.b': '', B: '' })
  const files = await listTree(dir.path, none, signal)
  assert.deepEqual(
    files.map((file) => file.path),
    ['B', 'a.b', 'a/b', 'ﬀ', '😀'], // by UTF-16 units the last two would change places
  )
})

test('an executable file keeps being one', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { run: '' })
  await chmod(join(dir.path, 'run'), 0o700)
  assert.equal((await entriesOf(await tarOf(dir.path)))[0]?.mode, 0o755)
})

test('a symbolic link is refused by its name', async () => {
  await using dir = await tempDir()
  await mkdir(join(dir.path, 'lib'))
  await symlink('/etc/passwd', join(dir.path, 'lib/users'))
  await assert.rejects(listTree(dir.path, none, signal), {
    code: 'invalid',
    message: 'lib/users is a symbolic link',
  })
})

test('what is skipped is not even looked at', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'keep/a': '', 'skip/b': '' })
  await symlink('/etc/passwd', join(dir.path, 'skip/users'))
  const files = await listTree(dir.path, (path) => path === 'skip', signal)
  assert.deepEqual(
    files.map((file) => file.path),
    ['keep/a'],
  )
})

test('a bundle above the limit is refused, naming its largest files', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'small.txt': 'x', 'data/large.bin': '' })
  await using large = await open(join(dir.path, 'data/large.bin'), 'r+')
  await large.truncate(BUNDLE_LIMIT) // a hole: it takes no room
  await assert.rejects(tarOf(dir.path), {
    code: 'too-large',
    message: 'the bundle is 100.0 MB, more than 100.0 MB',
    detail: /the largest files are data\/large\.bin \(100\.0 MB\), small\.txt \(1 B\)$/,
  })
})

test('an aborted listing reads nothing', async () => {
  await using dir = await tempDir()
  await assert.rejects(listTree(dir.path, none, AbortSignal.abort()), { name: 'AbortError' })
})

test('sizes are written for people', () => {
  assert.deepEqual([0, 1023, 1024, 1_572_864].map(formatSize), ['0 B', '1023 B', '1.0 KB', '1.5 MB'])
})
