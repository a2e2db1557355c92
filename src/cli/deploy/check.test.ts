import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeFiles } from '../../../test/support/files.ts'
import { tempDir } from '../../../test/support/temp.ts'
import type { SluiceError } from '../../core/errors.ts'
import type { Format } from '../../core/words.ts'
import { checkProgram } from './check.ts'

const { signal } = new AbortController()

interface Settings {
  readonly format?: Format
  readonly config?: Readonly<Record<string, string>>
  readonly limit?: number
}

/** Checks the first of `files`. */
async function check(files: Readonly<Record<string, string>>, settings: Settings = {}) {
  await using dir = await tempDir()
  await writeFiles(dir.path, files)
  const [entry = ''] = Object.keys(files)
  return await checkProgram({ dir: dir.path, entry, format: 'http-stream', config: {}, signal, ...settings })
}

/** What a refusal says. */
async function refusal(files: Readonly<Record<string, string>>, settings: Settings = {}): Promise<string> {
  const error = await check(files, settings).then(
    (warning) => assert.fail(`it passed: ${warning}`),
    (error: SluiceError) => error,
  )
  assert.equal(error.code, 'invalid', String(error.stack))
  return `${error.message} | ${error.detail}`
}

const HANDLER = 'export default () => 1\n'

for (const [what, files, expected] of [
  [
    'a syntax error',
    { 'func.ts': 'export default () => {\n  const x = ;\n}\n' },
    /^func\.ts:2: SyntaxError: .* \| const x = ;$/,
  ],
  ['a syntax error in JavaScript', { 'func.js': 'const x = ;\n' }, /^func\.js:1: .* \| const x = ;$/],
  [
    'a syntax error of an imported file',
    { 'func.ts': `import './lib/a.ts'\n${HANDLER}`, 'lib/a.ts': '\n\nlet = = 1' },
    /^lib\/a\.ts:3: /,
  ],
  [
    'an enum',
    { 'func.ts': `const a = 1\nenum A { B }\n${HANDLER}` },
    /^func\.ts:2: .*enum is not supported.* \| enum A \{ B \} · types are removed, .*: write an enum as a const object/,
  ],
  [
    'an import without its extension',
    { 'func.ts': `\nimport { x } from './lib'\n${HANDLER}`, 'lib.ts': 'export const x = 1' },
    /^func\.ts:2: Cannot find module 'lib' .* \| import \{ x \} from '\.\/lib' · .* write "…\/lib\.ts"$/,
  ],
  [
    'an import of a file that is called otherwise',
    { 'func.ts': `import './lib.js'\n${HANDLER}`, 'lib.ts': '' },
    /^func\.ts:1: .* write "…\/lib\.ts"$/,
  ],
  [
    'an import of a folder',
    { 'func.ts': `import './lib'\n${HANDLER}`, 'lib/index.ts': '' },
    /^func\.ts:1: .* · name the file in it, like "\.\/lib\/index\.ts"$/,
  ],
  [
    'an import of nothing',
    { 'func.cjs': "const x = 1\nmodule.exports = require('./gone')" },
    /^func\.cjs:2: .* · there is no such file/,
  ],
  [
    'a package that is no dependency',
    { 'func.ts': `import '@acme/left/deep'\n${HANDLER}` },
    /^func\.ts:1: .* · "npm install @acme\/left" in the function's folder adds it/,
  ],
  [
    'a name that is not exported',
    { 'func.ts': `import { y } from './lib.ts'\n${HANDLER}`, 'lib.ts': 'export const x = 1' },
    /^func\.ts:1: SyntaxError: .*does not provide an export named 'y' \| import/,
  ],
  [
    'a module that package.json makes a script',
    {
      'func.ts': `import 'node:fs'\n${HANDLER}`,
      'package.json': '{\n  "type": "commonjs"\n}',
    },
    /^func\.ts:1: .* · package\.json says "type": "commonjs", as "npm init" writes it: make it "module"$/,
  ],
  [
    'an error while it loads',
    { 'func.ts': `const n: number = 1\nthrow new TypeError('no ' + n)\n${HANDLER}` },
    /^func\.ts:2: TypeError: no 1 \| the check has the config/,
  ],
  [
    'a missing default export',
    { 'func.ts': 'export const handler = () => 1' },
    /^func\.ts exports no function as default \| write "export default/,
  ],
  ['a default export that is no function', { 'func.ts': 'export default 7' }, /exports no function/],
  [
    'a program that ends itself in failure',
    { 'func.mjs': `process.exit(7)\n${HANDLER}` },
    /^func\.mjs ended with exit code 7 while it was loaded \|/,
  ],
  ['a program that ends itself', { 'func.js': 'process.exit(0)' }, /exports no function/],
] as const)
  test(`${what} is refused with its place`, async () => {
    assert.match(await refusal(files as Readonly<Record<string, string>>), expected)
  })

test('every way to export a handler passes', async () => {
  for (const files of [
    { 'func.ts': HANDLER },
    { 'func.ts': `await 1\n${HANDLER}` },
    { 'func.mts': `setInterval(() => {}, 1000)\n${HANDLER}` },
    { 'func.cjs': 'module.exports = () => 1' },
    { 'func.js': 'exports.default = () => 1' },
    { 'func.js': HANDLER },
    { 'lib/start.js': HANDLER },
  ])
    assert.equal(await check(files as Readonly<Record<string, string>>), undefined)
})

test('a program that opens FN_LISTENER itself passes, at once or later', async () => {
  const listen = "require('node:http').createServer().listen(process.env.FN_LISTENER.slice(5))"
  for (const text of [listen, `setTimeout(() => { ${listen} }, 1)`])
    assert.equal(await check({ 'func.js': text }), undefined)
})

test('a function on the Node FDK passes', async () => {
  await using dir = await tempDir()
  const fdk = join(import.meta.dirname, '../../../node_modules/@fnproject/fdk')
  await cp(fdk, join(dir.path, 'node_modules/@fnproject/fdk'), { recursive: true })
  await writeFiles(dir.path, { 'func.js': "require('@fnproject/fdk').handle(() => 1)" })
  const options = { dir: dir.path, entry: 'func.js', format: 'http-stream', config: {}, signal } as const
  assert.equal(await checkProgram(options), undefined)
})

test('programs of the other formats are read and not run', async () => {
  const bad = "require('node:fs').readFileSync(0); throw new Error('it ran')"
  for (const format of ['default', 'http', 'port'] as const)
    assert.equal(await check({ 'func.js': bad }, { format }), undefined)
  assert.equal(
    await check({ 'func.mts': `import 'x'\nconst a: number = 1\nthrow a` }, { format: 'port' }),
    undefined,
  )
  assert.match(await refusal({ 'func.ts': 'enum A { B }' }, { format: 'port' }), /^func\.ts:1: .*enum/)
  assert.match(await refusal({ 'func.js': 'a b' }, { format: 'default' }), /^func\.js:1: SyntaxError/)
})

test('a handler of the older formats is loaded', async () => {
  assert.match(await refusal({ 'func.mjs': `throw 1\n${HANDLER}` }, { format: 'default' }), /^func\.mjs/)
})

test('scripts are checked for their syntax', async () => {
  assert.equal(await check({ 'func.sh': 'echo "$1"' }, { format: 'default' }), undefined)
  assert.match(
    await refusal({ 'func.sh': 'if true\n' }, { format: 'default' }),
    /^func\.sh cannot run \| .*func\.sh/,
  )
})

test('a Python script is told where it can run', async () => {
  assert.match(String(await check({ 'func.py': 'print(1)' })), /^func\.py needs a python3 where it runs/)
})

test('the config is there, and the environment of this machine is not', async () => {
  const text = `if (!process.env.KEY || process.env.USER) throw new Error('no key')\n${HANDLER}`
  assert.equal(await check({ 'func.mjs': text }, { config: { KEY: 'x' } }), undefined)
  assert.match(await refusal({ 'func.mjs': text }), /^func\.mjs:1: no key/)
})

test('what needs more than the check allows passes with a warning', async () => {
  for (const text of [
    "await fetch('http://127.0.0.1:9999/')",
    "import { execFileSync } from 'node:child_process'; execFileSync('true')",
    "import { writeFileSync } from 'node:fs'; writeFileSync('/tmp/x', '')",
  ])
    assert.match(
      String(await check({ 'func.mts': `${text}\n${HANDLER}` })),
      /^func\.mts could not be checked/,
    )
})

test('one that never finishes loading is refused at the limit', async () => {
  const never = `await new Promise(() => setInterval(() => {}, 1000))\n${HANDLER}`
  assert.match(await refusal({ 'func.mjs': never }, { limit: 1_000 }), /^func\.mjs did not load within 1 s/)
})

test('one that stays without a handler is refused at the limit', async () => {
  assert.match(
    await refusal({ 'func.mjs': 'setInterval(() => {}, 1000)' }, { limit: 1_000 }),
    /exports no function/,
  )
})

test('an abort ends the check with its reason', async () => {
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'func.mjs': HANDLER })
  const options = { dir: dir.path, entry: 'func.mjs', format: 'http-stream', config: {} } as const
  await assert.rejects(checkProgram({ ...options, signal: stop.signal }), { name: 'AbortError' })
})
