import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeFiles } from '../../../test/support/files.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { selectFiles } from './selection.ts'

const { signal } = new AbortController()

/** Names of what is selected, in a folder of its own or in `folder` of a repository. */
async function select(files: Readonly<Record<string, string>>, folder = '') {
  await using dir = await tempDir()
  if (folder !== '') await mkdir(join(dir.path, '.git'), { recursive: true })
  await writeFiles(dir.path, files)
  const { files: taken, leftOut, secrets } = await selectFiles(join(dir.path, folder), signal)
  return { taken: taken.map(({ path }) => path), leftOut: leftOut.map(({ path }) => path), secrets }
}

test('what usually holds a secret is left out, and named', async () => {
  const secrets = [
    '.env',
    '.env.local',
    'server.key',
    'certs/tls.PEM',
    '.aws/config',
    'keys/id_rsa',
    '.netrc',
  ]
  const files = Object.fromEntries(secrets.map((name) => [name, 'hush']))
  const { taken, leftOut } = await select({ ...files, 'func.ts': '', 'environment.ts': '', 'lib/key.ts': '' })
  assert.deepEqual(taken, ['environment.ts', 'func.ts', 'lib/key.ts'])
  assert.deepEqual(leftOut, secrets.map((name) => (name === '.aws/config' ? '.aws/' : name)).sort())
})

test('a secret is sent when .sluiceignore asks for it by name, and not when .gitignore does', async () => {
  const files = { 'func.ts': '', '.env': 'A=1', 'ca.pem': '' }
  const asked = await select({ ...files, '.sluiceignore': '!ca.pem\n' })
  assert.deepEqual(asked, { taken: ['ca.pem', 'func.ts'], leftOut: ['.env'], secrets: ['ca.pem'] })
  const byGit = await select({ ...files, '.gitignore': '!.env\n' })
  assert.deepEqual(byGit.taken, ['func.ts'])
})

test('what git ignores is left out, by the rules of each folder', async () => {
  const { taken, leftOut } = await select({
    'func.ts': '',
    'notes.txt': '',
    'dist/a.js': '',
    'lib/a.ts': '',
    'lib/notes.txt': '',
    'lib/tmp/b.ts': '',
    '.gitignore': 'notes.txt\n/dist/\n',
    'lib/.gitignore': '!notes.txt\ntmp\n',
  })
  assert.deepEqual(taken, ['func.ts', 'lib/a.ts', 'lib/notes.txt'])
  assert.deepEqual(leftOut, ['dist/', 'lib/tmp/', 'notes.txt'])
})

test('the rules of the repository above the folder count', async () => {
  const files = { 'fns/a/func.ts': '', 'fns/a/secret.json': '', 'fns/a/out.log': '', 'fns/a/keep.log': '' }
  const rules = { '.gitignore': 'secret.json\n*.log\n', 'fns/.gitignore': '!keep.log\n' }
  assert.deepEqual((await select({ ...files, ...rules }, 'fns/a')).taken, ['func.ts', 'keep.log'])
})

test('a folder that the repository ignores as a whole is sent by its own rules', async () => {
  const files = { 'tmp/a/func.ts': '', 'tmp/a/x.log': '', 'tmp/a/.gitignore': '*.log', '.gitignore': 'tmp/' }
  assert.deepEqual((await select(files, 'tmp/a')).taken, ['func.ts'])
})

test('outside of a repository nothing above the folder counts', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { '.gitignore': '*', 'a/func.ts': '' })
  const { files } = await selectFiles(join(dir.path, 'a'), signal)
  assert.equal(files.length, 1)
})

test('.sluiceignore leaves out, and brings back what git ignores, with all that a folder holds', async () => {
  const { taken } = await select({
    'func.ts': '',
    'func.test.ts': '',
    'dist/deep/a.js': '',
    'dist/.env': '',
    '.gitignore': 'dist\n',
    '.sluiceignore': '*.test.ts\n!dist/\n',
  })
  assert.deepEqual(taken, ['dist/deep/a.js', 'func.ts'])
})

test('npm gets its files whatever git ignores', async () => {
  const { taken } = await select({
    'func.js': '',
    'package.json': '{}',
    'package-lock.json': '{}',
    '.gitignore': 'package*.json',
  })
  assert.deepEqual(taken, ['func.js', 'package-lock.json', 'package.json'])
})

test('a file of rules that cannot be read sends nothing', async () => {
  await using dir = await tempDir()
  await mkdir(join(dir.path, '.sluiceignore'))
  await writeFiles(dir.path, { 'func.ts': '' })
  await assert.rejects(selectFiles(dir.path, signal), {
    code: 'invalid',
    message: /\.sluiceignore cannot be/,
  })
})
