import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { sandboxSuite } from '../../../test/support/sandbox-suite.ts'
import { complete, never, processesLeft } from '../contract/support.ts'

const onlyRoot = process.getuid?.() === 0 ? false : 'run as root'

describe('the end of a sandbox', { skip: canSandbox() }, () => {
  const suite = sandboxSuite()
  const { folderOf, open, run, shell, start } = suite

  test('is measured once more: the most memory that it had, and all of its CPU time', async (t) => {
    if (!suite.driver.capabilities.measures.includes('mem_usage'))
      return t.skip('no control groups: run as root')
    const script = `
      const touched = Buffer.alloc(100 * 2 ** 20, 1), end = performance.now() + 400
      while (performance.now() < end);
      const { user, system } = process.cpuUsage()
      console.log(user + system, touched.length)`
    const container = await start(shell('', { command: ['node', '-e', script], memory: 256 * 2 ** 20 }))
    const { stdout } = await complete(container)
    const last = container.measured().at(-1)?.metrics ?? {}
    assert.ok((last['mem_usage'] as number) > 100 * 2 ** 20, `${last['mem_usage']} bytes`)
    const used = ((last['cpu_user'] as number) + (last['cpu_kernel'] as number)) / 1_000
    assert.ok(used >= Number.parseInt(stdout, 10), `${used} of ${stdout}`)
    assert.deepEqual(Object.keys(last).sort(), [...suite.driver.capabilities.measures].sort())
  })

  test('takes along what it left in the background', async () => {
    const { result } = await run('sleep 100 & setsid sleep 100 & exit 3')
    assert.equal(result.exitCode, 3)
    assert.deepEqual(processesLeft(), [])
  })

  test('a child that runs out of memory ends all of it, though its parent goes on', async (t) => {
    if (!suite.driver.capabilities.limits.includes('memory')) return t.skip('no control groups: run as root')
    const hog = 'node -e "const all = []; for (;;) all.push(Buffer.alloc(1e6, 1))"'
    const { result } = await run(`${hog}; sleep 100`, { memory: 64 * 1024 ** 2 })
    assert.deepEqual([result.status, result.oom, result.error], ['killed', true, 'out of memory error'])
  })

  test('users for containers are given back', { skip: onlyRoot }, async () => {
    const uids = { first: 300_000, count: 1 }
    await using other = await open({ dataDir: await folderOf('one'), uids })
    const cookie = await other.prepare(shell('true'), never)
    await assert.rejects(other.prepare(shell('true'), never), { fault: 'no-room' })
    await cookie[Symbol.asyncDispose]()
    await using _next = await other.prepare(shell('true'), never)
  })
})
