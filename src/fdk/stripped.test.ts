import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { systemClock } from '../core/clock.ts'
import { strip } from '../node/strip.ts'

const bootstrap = join(import.meta.dirname, 'bootstrap.cjs')
const never = new AbortController().signal

/** One call's output and code, by Node's own stripping and by copies made ahead. */
async function runBoth(files: Readonly<Record<string, string>>) {
  await using temp = await tempDir()
  const [dir, to] = [join(temp.path, 'fn'), join(temp.path, 'stripped')]
  await writeFiles(dir, files)
  await strip({ from: dir, half: join(temp.path, 'half'), to }, systemClock, never)
  const copy = await readFile(join(to, Object.keys(files)[0] as string), 'utf8').catch(() => undefined)
  return { copy, plain: await run([dir]), ahead: await run([`--stripped=${to}`, dir]) }
}

function run(args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const flags = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', '--disable-warning=ExperimentalWarning']
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, bootstrap, ...args],
      { env: {} },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    )
    child.stdin?.end('')
  })
}

const line =
  "type A = string\nexport const where: A = 'x'\nexport const at = (): A => (new Error('x').stack as string).split('\\n')[1] as A\n"
const bundles: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'a second file, without a type in package.json': {
    'func.ts': "import { at, type where } from './lib/b.ts'\nexport default (): string => at()",
    'lib/b.ts': line,
  },
  'modules by package.json': {
    'func.ts': "import type { where } from './b.ts'\nimport { at } from './b.ts'\nexport default () => at()",
    'b.ts': line,
    'package.json': '{"type":"module"}',
  },
  'CommonJS, .cts and .mts': {
    'func.ts': "const b: any = require('./b.cts')\nmodule.exports = () => b.at()",
    'b.cts': "exports.at = (): string => require('./c.mts').at()",
    'c.mts': line,
  },
  'CommonJS imported by a module': {
    'func.ts': "import b from './b.ts'\nexport default (): string => b.at()",
    'b.ts': 'module.exports = { at: (): string => __filename }',
  },
  'a top-level await': { 'func.mts': 'const a: number = await 1\nexport default () => String(a)' },
}

for (const [name, files] of Object.entries(bundles))
  test(`TypeScript whose types are out already runs as Node runs it: ${name}`, async () => {
    const { copy, plain, ahead } = await runBoth(files)
    assert.ok(copy !== undefined && !copy.includes(': string'))
    assert.equal(plain.code, 0, plain.stderr)
    assert.deepEqual(ahead, plain)
  })

test('an enum fails with the same text, and so does a file that throws, at the same place', async () => {
  const colours = await runBoth({ 'func.ts': 'enum Colour { Red }\nexport default () => Colour.Red' })
  assert.equal(colours.copy, undefined)
  assert.match(colours.plain.stderr, /enum/)
  const throws = await runBoth({ 'func.ts': 'const a: number = 1\nthrow new Error(String(a))' })
  assert.match(throws.ahead.stderr, /func\.ts:2:7/)
  for (const { plain, ahead } of [colours, throws]) {
    assert.equal(ahead.code, 1)
    assert.equal(ahead.stderr.split('\n', 1)[0], plain.stderr.split('\n', 1)[0])
  }
})
