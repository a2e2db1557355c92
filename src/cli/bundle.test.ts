import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { extract, pack } from 'tar-stream'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'
import { packBundle } from './bundle.ts'

const { signal } = new AbortController()

async function bundleOf(files: Readonly<Record<string, string | Uint8Array>>, options: object = {}) {
  await using dir = await tempDir()
  await writeFiles(dir.path, files)
  return await packBundle(dir.path, { signal, ...options })
}

async function namesIn(tar: Uint8Array): Promise<string[]> {
  const names: string[] = []
  const stream = extract()
  stream.end(tar)
  for await (const entry of stream) {
    names.push(entry.header.name)
    entry.resume()
  }
  return names
}

/** A package as npm publishes it: a dependency that needs no registry. */
async function packageOf(files: Readonly<Record<string, string>>): Promise<Uint8Array> {
  const tar = pack()
  for (const [name, content] of Object.entries(files)) tar.entry({ name: `package/${name}` }, content)
  tar.finalize()
  return gzipSync(await buffer(tar))
}

const dependency = (manifest: object, files: Readonly<Record<string, string>> = {}) =>
  packageOf({ 'package.json': JSON.stringify({ name: 'dep', version: '1.0.0', ...manifest }), ...files })

const usingDep = JSON.stringify({ dependencies: { dep: 'file:./dep.tgz' } })

test('a bundle is the folder without what is no part of the program', async () => {
  const bundle = await bundleOf({
    'func.ts': 'export default () => 1',
    'lib/a.ts': '',
    'func.yaml': 'name: x',
    'node_modules/old/index.js': '',
    'lib/node_modules/old/index.js': '',
    '.git/HEAD': '',
    '.sluice/state': '',
  })
  assert.deepEqual(await namesIn(bundle.tar), ['func.ts', 'func.yaml', 'lib/a.ts'])
  assert.deepEqual([bundle.entry, bundle.files, bundle.size], ['func.ts', 3, bundle.tar.length])
  assert.equal(bundle.digest, createHash('sha256').update(bundle.tar).digest('hex'))
})

test('the entry is a func file, and before that of package.json', async () => {
  const main = JSON.stringify({ main: './lib/start' })
  for (const name of ['func.ts', 'func.mts', 'func.js', 'func.mjs', 'func.cjs'])
    assert.equal((await bundleOf({ [name]: '', 'lib/start.js': '', 'package.json': main })).entry, name)
  assert.equal((await bundleOf({ 'lib/start.js': '', 'package.json': main })).entry, 'lib/start.js')
})

test('a folder without an entry is refused, naming the files that would be one', async () => {
  await assert.rejects(bundleOf({ 'index.js': '' }), {
    code: 'invalid',
    message: /^nothing to run in /,
    detail: /func\.ts, func\.mts, func\.js, func\.mjs, func\.cjs/,
  })
})

test('a main that leads nowhere, or out of the folder, is refused', async () => {
  for (const main of ['./missing.js', '../outside.js', '/etc/passwd'])
    await assert.rejects(bundleOf({ 'package.json': JSON.stringify({ main }) }), {
      code: 'invalid',
      detail: `got ${JSON.stringify(main)}`,
    })
})

test('a folder that is none is refused', async () => {
  await assert.rejects(packBundle('/nowhere/at/all', { signal }), { code: 'not-found' })
})

test('a link in the folder is refused before anything is installed', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'func.ts': '' })
  await symlink('func.ts', join(dir.path, 'alias.ts'))
  await assert.rejects(packBundle(dir.path, { signal }), { message: 'alias.ts is a symbolic link' })
})

test('an FDK function of more than one call at once is refused', async () => {
  const manifest = JSON.stringify({ dependencies: { '@fnproject/fdk': '*' } })
  await assert.rejects(bundleOf({ 'func.js': '', 'package.json': manifest }, { concurrency: 2 }), {
    code: 'invalid',
    detail: 'concurrency must be 1 with @fnproject/fdk, got 2',
  })
})

test('dependencies are installed into the bundle, and the folder is left as it was', async () => {
  await using dir = await tempDir()
  const tgz = await dependency({ bin: 'cli.js' }, { 'index.js': '', 'cli.js': '' })
  await writeFiles(dir.path, {
    'func.js': '',
    'package.json': usingDep,
    'dep.tgz': tgz,
    '.npmrc': 'fund=false',
  })
  const lines: string[] = []
  const bundle = await packBundle(dir.path, { signal, onProgress: (line) => lines.push(line) })
  assert.deepEqual(await namesIn(bundle.tar), [
    'dep.tgz',
    'func.js',
    'node_modules/dep/cli.js',
    'node_modules/dep/index.js',
    'node_modules/dep/package.json',
    'package.json',
  ])
  assert.match(lines.join('\n'), /^warning: no package-lock\.json/)
  assert.deepEqual(await readdir(dir.path), ['.npmrc', 'dep.tgz', 'func.js', 'package.json'])
})

test('a package that is TypeScript inside node_modules is refused by its file', async () => {
  const tgz = await dependency({ exports: { '.': { types: './a.d.ts', import: './src/index.ts' } } })
  await assert.rejects(bundleOf({ 'func.js': '', 'package.json': usingDep, 'dep.tgz': tgz }), {
    code: 'invalid',
    message: 'node_modules/dep/src/index.ts is TypeScript inside node_modules',
  })
})

test('when npm fails its words are passed on', async () => {
  const lines: string[] = []
  const manifest = JSON.stringify({ dependencies: { dep: 'file:./missing.tgz' } })
  await assert.rejects(
    bundleOf({ 'func.js': '', 'package.json': manifest }, { onProgress: (line: string) => lines.push(line) }),
    { code: 'invalid', message: 'npm install failed', detail: /^exit code \d+; npm's own words are above$/ },
  )
  assert.match(lines.join('\n'), /ENOENT/)
})

test('without npm the error says what to do', async () => {
  await assert.rejects(bundleOf({ 'func.js': '', 'package.json': usingDep }, { env: { PATH: '/nowhere' } }), {
    code: 'invalid',
    message: 'npm could not be started',
    detail: /ENOENT; install Node\.js with npm/,
  })
})

/** Stands in for npm: runs until it is told to end, and takes its time then. */
const SLOW_NPM = `#!/bin/sh
cd "$(dirname "$0")"
sleep 60 &
trap 'kill $!; sleep 0.2; : >ended; exit 1' TERM
: >running
wait
`

test('an aborted install waits for the end of npm and rejects with the reason', async () => {
  await using bin = await tempDir()
  await writeFiles(bin.path, { npm: SLOW_NPM })
  await chmod(join(bin.path, 'npm'), 0o755)
  const interrupt = new AbortController()
  const files = { 'func.js': '', 'package.json': usingDep, 'dep.tgz': await dependency({}) }
  const env = { PATH: `${bin.path}:/usr/bin:/bin` }
  const packing = assert.rejects(bundleOf(files, { signal: interrupt.signal, env }), { message: 'enough' })
  await until('npm to run', () => existsSync(join(bin.path, 'running')))
  interrupt.abort(new Error('enough'))
  await packing
  assert.ok(existsSync(join(bin.path, 'ended')))
})

test('a package.json that is no object is refused', async () => {
  for (const text of ['[]', '{', 'null'])
    await assert.rejects(bundleOf({ 'func.ts': '', 'package.json': text }), {
      code: 'invalid',
      message: /package\.json is not a JSON object$/,
    })
})
