import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pack } from 'tar-stream'
import { Docker } from '../support/docker-client.ts'
import { testEngine } from '../support/engine.ts'
import { configOf, dockerArchive, tarOf } from '../support/images.ts'
import { moveImage, type Registry, registryMissing, startRegistry } from '../support/registry.ts'
import { canSandbox } from '../support/sandbox.ts'
import { type CliResult, type Role, sluice, startRole } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'

const SOURCE = fileURLToPath(new URL('../../bench/support/function.c', import.meta.url))
const { host, skip } = testEngine('docker')
const login = { user: 'ada', password: 'sesame' }

describe('functions that are images of a registry', {
  skip: skip || registryMissing() || compilerMissing(),
}, () => {
  let registry: Registry
  let temp: Awaited<ReturnType<typeof tempDir>>
  let ref: string
  const docker = new Docker(host)

  before(async () => {
    temp = await tempDir()
    registry = await startRegistry(login)
    ref = await pushFunction(docker, registry, temp.path)
  })
  after(async () => {
    await docker.removeImage(ref, true).catch(() => {}) // where no test has pulled it
    await registry[Symbol.asyncDispose]()
    await temp[Symbol.asyncDispose]()
  })

  const start = (name: string, password: string) => {
    const DOCKER_AUTH = JSON.stringify([{ name: registry.address, username: login.user, password }])
    const args = ['start', '--driver', 'docker', '--port', '0', '--admin-port', '0']
    return startRole([...args, '--data-dir', join(temp.path, name)], {
      env: { DOCKER_HOST: host, DOCKER_AUTH },
    })
  }
  const create = async (server: Role) => {
    await command(server, ['create', 'app', 'images'])
    await command(server, ['create', 'function', 'images', 'tiny', ref])
  }

  test('a wrong password is told to the caller, and is in no log', async () => {
    await using server = await start('denied', 'wrong-secret')
    await create(server)
    const { code, stderr } = await command(server, ['invoke', 'images', 'tiny'], false)
    assert.notEqual(code, 0)
    assert.match(stderr, /Image not found on this node.*Failed to pull image/s)
    assert.doesNotMatch(server.log() + stderr, /wrong-secret/)
  })

  test('one is pulled at its first call, and answers', async () => {
    await using server = await start('allowed', login.password)
    await create(server)
    registry.requests.length = 0
    assert.equal((await command(server, ['invoke', 'images', 'tiny'])).stdout, '{}')
    assert.ok(registry.requests.some((request) => request.includes('/manifests/')))
    assert.doesNotMatch(server.log(), /sesame/)
  })
})

test('an archive in the data folder is an image of the sandbox, without any engine', {
  skip: canSandbox() || compilerMissing(),
}, async () => {
  await using temp = await tempDir()
  const data = join(temp.path, 'state')
  await mkdir(join(data, 'images'), { recursive: true })
  const program = { name: 'function', mode: 0o755, content: await readFile(compileFunction(temp.path)) }
  const layer = await tarOf([program])
  const archive = await dockerArchive(['tiny:1'], [layer], configOf([layer], { Entrypoint: ['/function'] }))
  await writeFile(join(data, 'images', 'tiny.tar'), archive)
  const args = ['start', '--driver', 'sandbox', '--port', '0', '--admin-port', '0', '--data-dir', data]
  await using server = await startRole(args)
  await command(server, ['create', 'app', 'images'])
  await command(server, ['create', 'function', 'images', 'tiny', 'tiny:1'])
  assert.equal((await command(server, ['invoke', 'images', 'tiny'])).stdout, '{}')
  await command(server, ['create', 'function', 'images', 'none', 'none:1'])
  assert.match((await command(server, ['invoke', 'images', 'none'], false)).stderr, /none:1.*tiny:1/s)
})

async function command(server: Role, args: readonly string[], succeeds = true): Promise<CliResult> {
  const result = await sluice(args, { env: { FN_API_URL: server.ready.url } })
  if (succeeds) assert.equal(result.code, 0, result.stderr)
  return result
}

/** An image of one static program on the container contract. */
async function pushFunction(docker: Docker, registry: Registry, dir: string): Promise<string> {
  const program = compileFunction(dir)
  const tar = pack()
  tar.entry({ name: 'tmp', type: 'directory', mode: 0o1777 })
  tar.entry({ name: 'function', mode: 0o755 }, await readFile(program))
  tar.finalize()
  const repo = `${registry.address}/tiny`
  await docker.importImage(tar, { repo, tag: '1', changes: ['ENTRYPOINT ["/function"]'] })
  return (await moveImage(docker, registry, `${repo}:1`)).ref
}

/** @returns the path of the program */
function compileFunction(dir: string): string {
  const program = join(dir, 'function')
  execFileSync('gcc', ['-D_GNU_SOURCE', '-static', '-O2', '-o', program, SOURCE])
  return program
}

function compilerMissing(): string | false {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' })
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    return 'install gcc'
  }
}
