import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { tempDir } from '../../test/support/temp.ts'

const bootstrap = join(import.meta.dirname, 'bootstrap.cjs')

/** Runs a bundle of these files to its end. Without a listener a default export answers one call from stdin. */
async function run(files: Readonly<Record<string, string>>, input = '', env: Record<string, string> = {}) {
  await using dir = await tempDir()
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true })
    await writeFile(join(dir.path, name), content)
  }
  const listener = env['FN_LISTENER']?.replace('DIR', dir.path)
  const child = spawn(
    process.execPath,
    ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', bootstrap, dir.path],
    {
      env: { ...env, ...(listener === undefined ? {} : { FN_LISTENER: listener }) },
    },
  )
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  const names = await readdir(dir.path)
  const link = names.includes('link') ? await readlink(join(dir.path, 'link')) : undefined
  return { stdout, stderr, code, names, link }
}

const greets = "async (request) => 'hello '.concat(await request.text())"

const exportsOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'export default in .js': { 'func.js': `export default ${greets}` },
  'export default in .mjs': { 'func.mjs': `export default ${greets}` },
  'export default in .ts': {
    'func.ts': `export default async (request: Request) => 'hello ' + await request.text()`,
  },
  'export default after a top-level await': { 'func.mjs': `await 1; export default ${greets}` },
  'module.exports = function': { 'func.cjs': `module.exports = ${greets}` },
  'exports.default = function': { 'func.cjs': `exports.default = ${greets}` },
  'main of package.json': { 'package.json': '{"main":"lib/x"}', 'lib/x.js': `module.exports = ${greets}` },
  'func.js before main': {
    'package.json': '{"main":"x.js"}',
    'x.js': '!',
    'func.js': `module.exports = ${greets}`,
  },
}
for (const [title, files] of Object.entries(exportsOf))
  test(`${title} is the function`, async () => {
    const { stdout, stderr, code } = await run(files, 'you')
    assert.deepEqual({ stdout, stderr, code }, { stdout: 'hello you', stderr: '', code: 0 })
  })

test('a program without a default export runs as it is', async () => {
  const { stdout, code } = await run(
    { 'func.js': 'module.exports = {}; process.stdin.pipe(process.stdout)' },
    'in',
  )
  assert.deepEqual([stdout, code], ['in', 0])
})

test('a program sees itself as the script that runs', async () => {
  const { stdout } = await run({
    'func.js': 'console.log(require("path").basename(process.argv[1]), process.argv.length)',
  })
  assert.equal(stdout, 'func.js 2\n')
})

test('a cold function that throws ends with 1 and its stack', async () => {
  const { stdout, stderr, code } = await run({
    'func.js': 'module.exports = () => { throw new Error("oh") }',
  })
  assert.deepEqual([stdout, code], ['', 1])
  assert.match(stderr, /Error: oh\n +at /)
})

test('an entry that is missing is said in one line', async () => {
  const { stderr, code } = await run({ 'other.js': '' })
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^cannot find the entry of the function: no func\.\{ts,mts,js,mjs,cjs\}, no main in package\.json and no func\.\{sh,py\}\n$/,
  )
})

test('a main that is missing is named', async () => {
  const { stderr, code } = await run({ 'package.json': '{"main":"gone.js"}' })
  assert.equal(code, 1)
  assert.match(stderr, /^cannot find the entry of the function: Error: Cannot find module .*gone\.js/)
})

test('an entry that throws is named with the reason first', async () => {
  const { stderr, code } = await run({ 'func.js': 'throw new TypeError("oh")' })
  assert.equal(code, 1)
  assert.match(stderr, /^cannot load func\.js: TypeError: oh\n/)
})

test('an entry with a syntax error is named with the reason first', async () => {
  const { stderr, code } = await run({ 'func.ts': 'const x: = 1' })
  assert.equal(code, 1)
  assert.match(stderr, /^cannot load func\.ts: SyntaxError/)
})

test('a program that ends without a listener is told so', async () => {
  const { stderr, code } = await run({ 'func.js': 'module.exports = {}' }, '', {
    FN_LISTENER: 'unix:DIR/lsnr.sock',
  })
  assert.equal(code, 0)
  assert.match(stderr, /no default export to serve and opened no FN_LISTENER/)
})

const announce = (how: string) => ({
  'func.mjs': `import fs, { symlinkSync } from 'node:fs'
    const path = process.env.FN_LISTENER.slice(5)
    fs.writeFileSync(path + '.tmp', '')
    ${how}`,
})
for (const [title, how] of [
  ['fs.symlinkSync', "fs.symlinkSync('lsnr.sock.tmp', path)"],
  ['an imported symlinkSync', "symlinkSync('lsnr.sock.tmp', path)"],
  ['fs.symlink', "fs.symlink('lsnr.sock.tmp', path, (error) => { if (error) throw error })"],
] as const)
  test(`a socket announced by ${title} is renamed`, async () => {
    const { names } = await run(announce(how), '', { FN_LISTENER: 'unix:DIR/lsnr.sock' })
    assert.deepEqual(names.sort(), ['func.mjs', 'lsnr.sock'])
  })

test('every other link is made', async () => {
  const how = "fs.symlinkSync('lsnr.sock.tmp', path.replace('lsnr.sock', 'link'))"
  const { names, link } = await run(announce(how), '', { FN_LISTENER: 'unix:DIR/lsnr.sock' })
  assert.deepEqual(names.sort(), ['func.mjs', 'link', 'lsnr.sock.tmp'])
  assert.equal(link, 'lsnr.sock.tmp')
})
