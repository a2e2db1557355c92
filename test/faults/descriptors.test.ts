import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { canSandbox } from '../support/sandbox.ts'
import { type Role, sluice, startRole } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'

const run = promisify(execFile)

const DESCRIPTORS = 256
/** More than could each have a connection. */
const CALLERS = 300

const FUNC = `export default async () => {
  await new Promise((resolve) => setTimeout(resolve, 50))
  return { done: true }
}
`

/** The status and whose error it is, or 0 when there was no answer. */
async function call(url: string, agent: Agent): Promise<{ status: number; origin: string; body: string }> {
  const req = request(url, { method: 'POST', agent })
  req.end('x')
  return new Promise((resolve) => {
    req.once('error', (error) => resolve({ status: 0, origin: '', body: error.message }))
    req.once('response', async (res) => {
      const body = await text(res).catch(() => '')
      resolve({ status: res.statusCode ?? 0, origin: String(res.headers['fn-origin'] ?? ''), body })
    })
  })
}

async function crowd(t: TestContext, driver: string, end: (role: Role) => Promise<void>): Promise<void> {
  const temp = await tempDir()
  t.after(() => temp[Symbol.asyncDispose]())
  const args = ['start', '--driver', driver, '--port', '0', '--data-dir', join(temp.path, 'data')]
  await using role = await startRole(args, { descriptors: DESCRIPTORS })
  const dir = join(temp.path, 'func')
  await mkdir(dir)
  await writeFile(join(dir, 'func.mjs'), FUNC)
  await writeFile(join(dir, 'func.yaml'), 'name: crowd\n')
  const env = { FN_API_URL: role.ready.url }
  const deployed = await sluice(['deploy', '--app', 'faults', '--json', dir], { env })
  assert.equal(deployed.code, 0, deployed.stderr)
  const { url } = JSON.parse(deployed.stdout) as { url: string }
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())

  const answers = await Promise.all(Array.from({ length: CALLERS }, () => call(url, agent)))
  const failed = answers.filter(({ status }) => status !== 200)
  assert.ok(answers.length > failed.length, 'some were served')
  for (const { status, origin, body } of failed)
    assert.ok(status === 0 || origin !== 'function', `${status} ${origin}: ${body}`)
  agent.destroy()

  // It lives, and serves again once the crowd has gone.
  const alone = new Agent({ keepAlive: false })
  for (let tries = 0; ; tries++) {
    const { status, body } = await call(url, alone)
    if (status === 200) break
    assert.ok(tries < 100, `${status} ${body}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await end(role)
}

async function endsInTime(role: Role): Promise<void> {
  const limit = AbortSignal.timeout(40_000)
  const late = new Promise<string>((resolve) => limit.addEventListener('abort', () => resolve('late')))
  assert.equal(await Promise.race([role.end('SIGTERM'), late]), 0)
}

for (const [driver, skip] of [
  ['process', false],
  ['sandbox', canSandbox()],
] as const)
  test(
    `more callers than a node has descriptors: on ${driver} it refuses some, lives, and ends when it is told to`,
    {
      skip,
    },
    (t) => crowd(t, driver, endsInTime),
  )

const DRIVER = new URL('../../src/drivers/process/process.ts', import.meta.url)
const SUPPORT = new URL('../../src/drivers/contract/support.ts', import.meta.url)

/** Starts more containers than there are pipes for, and tells how each start ended. */
const SCRIPT = `
const { processDriver } = await import('${DRIVER}')
const { specOf } = await import('${SUPPORT}')
const driver = await processDriver({ dataDir: process.argv[1] })
const never = new AbortController().signal
const spec = () => specOf('same', { mode: 'cold', command: ['/bin/cat'] })
const start = async () => (await driver.prepare(spec(), never)).run(never)
const faults = []
for (let i = 0; i < 100; i++) await start().catch((error) => faults.push(error.fault))
await driver[Symbol.asyncDispose]()
console.log(JSON.stringify(faults))
`

test('a driver without descriptors for another process says so, and its process lives', async (t) => {
  const temp = await tempDir()
  t.after(() => temp[Symbol.asyncDispose]())
  const node = [process.execPath, '--input-type=module', '-e', SCRIPT, temp.path]
  const { stdout } = await run('sh', ['-c', 'ulimit -n 256 && exec "$@"', 'sh', ...node])
  const faults = JSON.parse(stdout) as string[]
  assert.ok(faults.length > 0 && faults.length < 100, `${faults.length} of 100: ${stdout}`)
  assert.deepEqual([...new Set(faults)], ['no-descriptors'])
})
