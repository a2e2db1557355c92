import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { tempDir } from '../support/temp.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
const { PATH = '', HOME = '/' } = process.env

let dir: Awaited<ReturnType<typeof tempDir>>
const command = () => join(dir.path, 'empty/node_modules/.bin/sluice')
const own = () => join(dir.path, 'empty/node_modules/sluice')

/** Packs without a build of before, and installs that into an empty folder. */
before(async () => {
  dir = await tempDir()
  const empty = join(dir.path, 'empty')
  await mkdir(empty)
  await run('npm', ['pack', '--silent', '--pack-destination', dir.path], { cwd: ROOT })
  const [tarball = ''] = (await readdir(dir.path)).filter((name) => name.endsWith('.tgz'))
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  await run('npm', ['install', ...quiet, join(dir.path, tarball)], { cwd: empty })
})
after(() => dir[Symbol.asyncDispose]())

/** A Node that is too old, as a machine has it. */
const old = PATH.split(delimiter)
  .map((folder) => join(folder, 'node'))
  .filter((file) => existsSync(file))
  .find((file) => Number.parseInt(execFileSync(file, ['-p', 'process.versions.node']).toString(), 10) < 26)
const needsOld = { skip: old ? false : 'there is no Node below 26 on PATH' }

const pathOf = (node: string) => `${dirname(node)}${delimiter}/usr/bin${delimiter}/bin`

test('the package runs on the Node that it needs, and brings its examples and its check along', async () => {
  const env = { PATH: pathOf(process.execPath), HOME, FN_API_URL: 'http://127.0.0.1:9' }
  const { stdout, stderr } = await run(command(), ['version'], { env })
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  assert.equal(stdout, `client  ${version}\nserver  not running (http://127.0.0.1:9)\n`)
  assert.equal(stderr, '')
  for (const name of ['hello-ts', 'hello-sh', 'work', 'stream', 'hello-port']) {
    const example = join(own(), 'examples', name)
    const listed = await run(command(), ['deploy', '--app', 'a', '--dry-run', '--json', example], { env })
    assert.ok(JSON.parse(listed.stdout).files >= 2, name)
  }
})

test('on an older Node it runs on the pinned one, from the cache', needsOld, async () => {
  const { optionalDependencies: pins } = JSON.parse(
    await readFile(join(own(), 'toolchain/package.json'), 'utf8'),
  )
  const name = Object.keys(pins).find((each) =>
    each.endsWith(`-${process.platform}-${process.arch}`),
  ) as string
  const modules = join(dir.path, 'cache/sluice', `node-${pins[name]}`, 'node_modules')
  await mkdir(modules, { recursive: true })
  await symlink(join(ROOT, 'toolchain/node_modules', name), join(modules, name))
  const env = { PATH: pathOf(old as string), HOME, XDG_CACHE_HOME: join(dir.path, 'cache') }
  const { stdout, stderr } = await run(command(), ['init', 'hello'], { env, cwd: dir.path })
  assert.match(stdout, /^Wrote hello\/func\.yaml$/m)
  assert.doesNotMatch(stderr, /Warning|SyntaxError/)
  await assert.rejects(run(command(), ['nonsense'], { env }), { code: 2 })
})

test('on an older Node that cannot fetch the pinned one it says what it needs', needsOld, async () => {
  const bin = join(dir.path, 'bin')
  await mkdir(bin)
  await symlink(old as string, join(bin, 'node'))
  const env = { PATH: bin, HOME, XDG_CACHE_HOME: join(dir.path, 'nothing') }
  await assert.rejects(run(old as string, [join(own(), 'bin/sluice.cjs'), 'version'], { env }), (error) => {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    assert.equal(code, 7)
    assert.match(stderr ?? '', /^sluice: needs Node 26 or newer, this is .*; npm could not fetch it/m)
    assert.match(stderr ?? '', /^sluice: install it from https:\/\/nodejs\.org, then run this again$/m)
    return true
  })
})
