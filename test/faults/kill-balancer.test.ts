import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Role, sluice, startRole } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'

/** Sleeps as long as its input says, in milliseconds. */
const FUNC = `export default async (request) => {
  const ms = Number(await request.text())
  await new Promise((resolve) => setTimeout(resolve, ms))
  return { slept: ms }
}
`
const LONG = '60000'

test('a balancer killed with -9 leaves no slot taken, and the next one needs no introduction', async () => {
  await using temp = await tempDir()
  await using stack = new AsyncDisposableStack()
  const folder = ['--data-dir', join(temp.path, 'node'), '--driver', 'process']
  const node = stack.use(await startRole(['node', '--listen', '127.0.0.1:0', ...folder]))
  const first = stack.use(await balancerOf(node))
  const path = await deploy(temp.path, first)
  const call = (balancer: Role, body: string) =>
    fetch(balancer.ready.url + path, { method: 'POST', body }).then(
      ({ status }) => status,
      () => 'broken' as const,
    )
  const load = async () =>
    (await (await fetch(`${node.ready.url}/node/load`)).json()) as { run: number; queue: number }

  assert.equal(await call(first, '0'), 200)
  const callers = [call(first, LONG), call(first, LONG)]
  await until('both calls to run', async () => (await load()).run === 2, 30_000)
  await first.end('SIGKILL')
  assert.deepEqual(await Promise.all(callers), ['broken', 'broken'])
  await until('their slots to be free', async () => (await load()).run === 0, 30_000)

  const second = stack.use(await balancerOf(node))
  assert.equal(await call(second, '0'), 200)
  assert.deepEqual(await load().then(({ run, queue }) => ({ run, queue })), { run: 0, queue: 0 })
})

function balancerOf({ ready }: Role): Promise<Role> {
  const ports = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0']
  return startRole(['balancer', '--nodes', new URL(ready.url).host, ...ports])
}

/** @returns the path of its invocation */
async function deploy(parent: string, balancer: Role): Promise<string> {
  const dir = join(parent, 'func')
  await mkdir(dir)
  await writeFile(join(dir, 'func.mjs'), FUNC)
  await writeFile(join(dir, 'func.yaml'), 'name: sleeper\ntimeout: 120\n')
  const env = { FN_API_URL: balancer.ready.url }
  const { code, stdout, stderr } = await sluice(['deploy', '--app', 'faults', '--json', dir], { env })
  assert.equal(code, 0, stderr)
  return new URL((JSON.parse(stdout) as { url: string }).url).pathname
}
