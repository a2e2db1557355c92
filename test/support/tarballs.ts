import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

const TOOLCHAIN = ['toolchain/package.json', 'toolchain/package-lock.json']

/** What packing reads. */
const SOURCES = [
  ...['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json', 'package-lock.json'],
  ...['tsconfig.json', 'tsconfig.build.json', 'src', 'scripts', 'packages', 'bin', 'examples', ...TOOLCHAIN],
]

/** Paths of what `npm pack` makes of both packages. */
export interface Tarballs {
  readonly sluice: string
  readonly drivers: string
}

/** Packs a copy, in the folder `copy`, as it would be published: by npm, which builds it first. */
export async function packAll(copy: string): Promise<Tarballs> {
  for (const name of SOURCES) await cp(join(ROOT, name), join(copy, name), { recursive: true })
  for (const name of ['node_modules', 'toolchain/node_modules'])
    await symlink(join(ROOT, name), join(copy, name))
  const pack = async (folder: string) => {
    const options = { cwd: join(copy, folder), env: environment() }
    const { stdout } = await run('npm', ['pack', '--json'], options).catch(({ stdout, stderr }) =>
      assert.fail(stdout + stderr),
    )
    return join(copy, folder, JSON.parse(stdout.slice(stdout.indexOf('[\n')))[0].filename)
  }
  return { drivers: await pack('packages/drivers'), sluice: await pack('.') }
}

/** Installs packages in a new project, as anybody does. */
export async function installIn(project: string, ...packages: readonly string[]): Promise<void> {
  await mkdir(project, { recursive: true })
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
  const options = { cwd: project, env: environment() }
  await run('npm', ['install', ...flags, ...packages], options).catch(({ stderr }) => assert.fail(stderr))
}

/** Without what ties a process to the runner of these tests. */
export function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env
  return rest
}
