import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testEngine } from '../support/engine.ts'
import { canSandbox } from '../support/sandbox.ts'
import { type Role, sluice, startRole } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))
const docker = testEngine('docker')
const podman = testEngine('podman')

/** The ways to run the same functions, and why one is left out here. */
const WAYS = [
  { name: 'docker', driver: 'docker', env: { DOCKER_HOST: docker.host }, skip: docker.skip },
  { name: 'podman', driver: 'docker', env: { DOCKER_HOST: podman.host }, skip: podman.skip },
  { name: 'sandbox', driver: 'sandbox', env: {}, skip: canSandbox() },
  { name: 'process', driver: 'process', env: {}, skip: false },
] as const

for (const { name, driver, env, skip } of WAYS)
  describe(`functions on ${name}`, { skip }, () => {
    const start = (dir: string) =>
      startRole(['node', '--listen', '127.0.0.1:0', '--data-dir', join(dir, 'state'), '--driver', driver], {
        env,
        limit: 60_000,
      })

    test('the examples answer, and nothing of them is left when the node stops', async () => {
      await using temp = await tempDir()
      const ids: string[] = []
      {
        await using node = await start(temp.path)
        for (const example of ['hello-fdk', 'hello-ts']) {
          const { id, url } = await deploy(node, join(EXAMPLES, example))
          ids.push(id)
          const reply = await fetch(url, { method: 'POST', body: '{"name":"Ada"}' })
          assert.match(await reply.text(), /Ada/)
          assert.equal(reply.status, 200)
        }
      }
      assert.deepEqual(ids.flatMap(processesOf), [])
    })

    test('a node killed with -9 leaves nothing running once it is back', async () => {
      await using temp = await tempDir()
      const killed = await start(temp.path)
      const { id, url } = await deploy(killed, join(EXAMPLES, 'hello-fdk'))
      const call = () =>
        fetch(new URL(new URL(url).pathname, back.ready.url), { method: 'POST', body: '{"name":"Ada"}' })
      assert.equal((await fetch(url, { method: 'POST', body: '{"name":"Ada"}' })).status, 200)
      assert.notDeepEqual(processesOf(id), [], 'the test sees the processes of a container')
      await killed.end('SIGKILL')
      await using back = await start(temp.path)
      await until('the old containers to end', () => processesOf(id).length === 0, 20_000)
      assert.equal((await call()).status, 200)
    })
  })

async function deploy(node: Role, folder: string): Promise<{ id: string; url: string }> {
  const args = ['deploy', '--app', 'drivers', '--json', folder]
  const { code, stdout, stderr } = await sluice(args, { env: { FN_API_URL: node.ready.url } })
  assert.equal(code, 0, stderr)
  const { url } = JSON.parse(stdout) as { url: string }
  return { id: url.slice(url.lastIndexOf('/') + 1), url }
}

/** The processes of a function's containers, whichever driver made them: its id is in their environment. */
function processesOf(fnId: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/environ`).includes(`FN_FN_ID=${fnId}`))
    .map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
