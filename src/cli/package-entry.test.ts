import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { ENTRIES, findEntry, refuseTypeScriptPackages } from './package-entry.ts'

const bootstrap = createRequire(import.meta.url)('../fdk/entry.cjs') as {
  readonly ENTRIES: readonly string[]
  findEntry(dir: string): string | undefined
}

/** Checks one installed package with this package.json. */
async function check(manifest: object, folder = 'node_modules/dep'): Promise<void> {
  await using dir = await tempDir()
  const path = `${folder}/package.json`
  await writeFiles(dir.path, { [path]: JSON.stringify(manifest) })
  await refuseTypeScriptPackages(dir.path, [{ path, size: 0, executable: false }])
}

const refused = (file: string) => ({ message: `${file} is TypeScript inside node_modules` })

const fine: Readonly<Record<string, object>> = {
  'JavaScript as main': { main: 'index.js', types: 'src/index.ts' },
  'only types': { main: '', types: 'index.d.ts' },
  'a main that is a declaration': { main: 'index.d.ts' },
  'exports that go before a TypeScript main': { main: 'index.ts', exports: './index.js' },
  'TypeScript for other tools': {
    exports: { '.': { bun: './src/a.ts', types: './a.ts', default: './a.js' } },
  },
  'TypeScript below a JavaScript entry': { exports: { '.': './a.js', './src/*': './src/*.ts' } },
  'a closed entry': { exports: { '.': null } },
}
for (const [what, manifest] of Object.entries(fine))
  test(`a package with ${what} may be deployed`, () => check(manifest))

const refusals: Readonly<Record<string, readonly [object, string]>> = {
  'a TypeScript main': [{ main: './index.ts' }, 'index.ts'],
  'exports as text': [{ exports: './src/a.mts' }, 'src/a.mts'],
  'conditions without a dot': [{ exports: { types: './a.d.ts', default: './a.ts' } }, 'a.ts'],
  'TypeScript for require alone': [{ exports: { '.': { import: './a.js', require: './b.cts' } } }, 'b.cts'],
  'nested conditions': [{ exports: { '.': { node: { import: './n.ts' }, default: './a.js' } } }, 'n.ts'],
  'a list of targets': [{ exports: { '.': [{ browser: './b.js' }, './a.ts'] } }, 'a.ts'],
  'subpaths alone': [{ exports: { './a': './a.ts' } }, 'a.ts'],
}
for (const [what, [manifest, file]] of Object.entries(refusals))
  test(`a package with ${what} is refused`, () =>
    assert.rejects(check(manifest), refused(`node_modules/dep/${file}`)))

test('packages of a scope and packages of packages are checked as well', async () => {
  for (const folder of ['node_modules/@scope/dep', 'node_modules/a/node_modules/dep'])
    await assert.rejects(check({ main: 'x.ts' }, folder), refused(`${folder}/x.ts`))
})

test('a package.json deeper inside a package is not an entry point', () =>
  check({ main: 'x.ts' }, 'node_modules/dep/test/fixture'))

test('the own package.json may name TypeScript', () => check({ main: 'x.ts' }, 'src'))

test('deploy and the bootstrap in the container choose the same entry', async () => {
  assert.deepEqual(ENTRIES, bootstrap.ENTRIES)
  await using dir = await tempDir()
  const main = 'lib/start.js'
  const others = ['func.cts', 'func.tsx', 'func.jsx', 'func.json', 'func', 'index.js', 'main.py']
  const manifest = { main: './lib/start' }
  let names = ['package.json', main, ...ENTRIES, ...others]
  await writeFiles(dir.path, Object.fromEntries(names.map((name) => [name, ''])))
  await writeFiles(dir.path, { 'package.json': JSON.stringify(manifest) })
  const chosen: string[] = []
  for (;;) {
    const files = names.map((path) => ({ path, size: 0, executable: false }))
    const hasMain = names.includes(main)
    const found = bootstrap.findEntry(dir.path)
    if (found === undefined) {
      assert.throws(() => findEntry(files, undefined, dir.path), { message: /^nothing to run/ })
      break
    }
    const name = relative(dir.path, found)
    assert.equal(findEntry(files, hasMain ? manifest : undefined, dir.path), name)
    chosen.push(name)
    const gone = name === main ? [name, 'package.json'] : [name]
    for (const file of gone) await rm(join(dir.path, file))
    names = names.filter((other) => !gone.includes(other))
  }
  assert.deepEqual(chosen, [...ENTRIES.slice(0, 5), main, ...ENTRIES.slice(5)])
})
