import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { tempDir } from '../support/temp.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** What `npm run build` reads. */
const SOURCES = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src',
  'scripts',
]

describe('sluice/drivers, installed in a project of somebody else', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>
  let project: string
  const node = (...args: string[]) => run(process.execPath, args, { cwd: project, env: environment() })

  before(async () => {
    temp = await tempDir()
    project = join(temp.path, 'project')
    await install(await pack(join(temp.path, 'sluice')), project)
  })
  after(() => temp[Symbol.asyncDispose]())

  test('the example runs one container and prints its stats', async () => {
    await cp(join(ROOT, 'examples/run-one'), project, { recursive: true })
    const { stdout, stderr } = await node('run.ts')
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
      `import { driverContract, processDriver } from 'sluice/drivers'
       driverContract('own', () => processDriver({ dataDir: 'data' }))`,
    )
    const flags = ['--test', '--test-reporter=tap', '--test-name-pattern=default export']
    const { stdout } = await node(...flags, 'own.test.js').catch(({ stdout }) => assert.fail(stdout))
    assert.match(stdout, /ok \d+ - a default export in TypeScript is served/)
    assert.match(stdout, /^# pass 3$/m)
  })

  test('it has every driver', async () => {
    const names = ['dockerDriver', 'sandboxDriver', 'processDriver', 'mockDriver']
    const { stdout } = await node(
      '-p',
      `const all = require('sluice/drivers'); ${JSON.stringify(names)}.map((name) => typeof all[name]).join()`,
    )
    assert.equal(stdout, 'function,function,function,function\n')
  })
})

/** Without what ties a process to the runner of these tests. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env
  return rest
}

/** Builds and packs a copy, so that nothing is written beside the sources. */
async function pack(copy: string): Promise<string> {
  for (const name of SOURCES) await cp(join(ROOT, name), join(copy, name), { recursive: true })
  for (const name of ['node_modules', 'toolchain']) await symlink(join(ROOT, name), join(copy, name))
  const options = { cwd: copy, env: environment() }
  await run('npm', ['run', 'build'], options).catch(({ stdout, stderr }) => assert.fail(stdout + stderr))
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json'], options)
  return join(copy, JSON.parse(stdout)[0].filename)
}

/** Unpacks it beside the libraries that it depends on, which npm would fetch. */
async function install(tarball: string, project: string): Promise<void> {
  const modules = join(project, 'node_modules')
  await mkdir(join(modules, 'sluice'), { recursive: true })
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'sluice')])
  for (const name of await readdir(join(ROOT, 'node_modules')))
    if (!name.startsWith('.')) await symlink(join(ROOT, 'node_modules', name), join(modules, name))
}
