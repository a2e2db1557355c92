import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { environment, installIn, packAll, type Tarballs } from '../support/tarballs.ts'
import { tempDir } from '../support/temp.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
const { PATH = '', HOME = '/' } = process.env

/** What a user of the drivers alone has no use for. */
const SERVER = ['fastify', 'kysely', 'pino', 'prom-client', 'commander', '@opentelemetry', 'lru-cache']

let dir: Awaited<ReturnType<typeof tempDir>>
let tarballs: Tarballs
const project = () => join(dir.path, 'project')
const command = () => join(project(), 'node_modules/.bin/sluice')
const own = () => join(project(), 'node_modules/sluice')

before(async () => {
  dir = await tempDir()
  tarballs = await packAll(join(dir.path, 'copy'))
  await installIn(project(), tarballs.sluice, tarballs.drivers)
})
after(() => dir[Symbol.asyncDispose]())

/** Runs Node in a project. */
const node = (cwd: string, ...args: string[]) => run(process.execPath, args, { cwd, env: environment() })

describe('@sluice/drivers, installed in a project of somebody else', () => {
  let project: string
  before(async () => {
    project = join(dir.path, 'drivers')
    await installIn(project, tarballs.drivers, '@types/node@26')
  })

  test('nothing of the server is installed', async () => {
    const installed = await readdir(join(project, 'node_modules'))
    assert.ok(installed.includes('@sluice'))
    assert.deepEqual(
      installed.filter((name) => SERVER.includes(name)),
      [],
    )
  })

  test('the example runs one container and prints its stats', async () => {
    await cp(join(ROOT, 'examples/run-one'), project, { recursive: true })
    const { stdout, stderr } = await node(project, 'run.ts')
    assert.match(stdout, /\{"found":\d{3,}\}/)
    assert.match(stdout, /status: 'success', exitCode: 0/)
    assert.match(stdout, /average \{[^}]*mem_usage: \d{6,}/)
    assert.equal(stderr, '')
  })

  test('its types are found', async () => {
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node']
    await writeFile(join(project, 'typed.ts'), await readFile(join(ROOT, 'examples/run-one/run.ts')))
    await run(tsc, [...flags, 'typed.ts'], { cwd: project }).catch(({ stdout }) => assert.fail(stdout))
  })

  test('its contract proves a driver there, TypeScript too', async () => {
    await writeFile(
      join(project, 'own.test.js'),
      `import { driverContract, processDriver } from '@sluice/drivers'
       driverContract('own', () => processDriver({ dataDir: 'data' }))`,
    )
    const flags = ['--test', '--test-reporter=tap', '--test-name-pattern=default export']
    const { stdout } = await node(project, ...flags, 'own.test.js').catch(({ stdout }) => assert.fail(stdout))
    assert.match(stdout, /ok \d+ - a default export in TypeScript is served/)
    assert.match(stdout, /^# pass 3$/m)
  })
})

test('its drivers are those of the other package, and each class is there once', async () => {
  await writeFile(
    join(project(), 'same.js'),
    `import * as own from 'sluice/drivers'
     import * as drivers from '@sluice/drivers'
     import { SluiceError } from 'sluice'
     const all = ['dockerDriver', 'sandboxDriver', 'processDriver', 'mockDriver']
     console.log(all.every((name) => own[name] === drivers[name] && typeof own[name] === 'function'))
     console.log(SluiceError === drivers.SluiceError)`,
  )
  const { stdout } = await node(project(), 'same.js')
  assert.equal(stdout, 'true\ntrue\n')
})

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
