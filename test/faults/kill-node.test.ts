import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Role, sluice, startRole } from '../support/sluice.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'

const FUNC = `export default async (request, ctx) => {
  console.log('ran ' + ctx.callId)
  await new Promise((resolve) => setTimeout(resolve, 20))
  return { callId: ctx.callId }
}
`

interface Sent {
  readonly at: number
  readonly status: number
  readonly id: string
  readonly text: string
}

test('a node killed with -9 under load fails only the calls that it had, once, and no later ones', async () => {
  await using temp = await tempDir()
  await using stack = new AsyncDisposableStack()
  const store = `sqlite:${join(temp.path, 'shared.db')}`
  const nodes: Role[] = []
  for (const name of ['a', 'b', 'c']) {
    const args = [
      'node',
      '--listen',
      '127.0.0.1:0',
      '--data-dir',
      join(temp.path, name),
      '--store',
      store,
      '--driver',
      'process',
    ]
    nodes.push(stack.use(await startRole(args)))
  }
  const names = nodes.map(({ ready }) => new URL(ready.url).host)
  const balancer = stack.use(
    await startRole([
      'balancer',
      '--nodes',
      names.join(','),
      '--listen',
      '127.0.0.1:0',
      '--admin-listen',
      '127.0.0.1:0',
      '--strategy',
      'round-robin',
    ]),
  )
  const dir = join(temp.path, 'func')
  await mkdir(dir)
  await writeFile(join(dir, 'func.mjs'), FUNC)
  await writeFile(join(dir, 'func.yaml'), 'name: mark\n')
  const env = { FN_API_URL: balancer.ready.url }
  const deployed = await sluice(['deploy', '--app', 'faults', '--json', dir], { env })
  assert.equal(deployed.code, 0, deployed.stderr)
  const { url } = JSON.parse(deployed.stdout) as { url: string }

  const sent: Sent[] = []
  let going = true
  const callers = Array.from({ length: 12 }, async () => {
    while (going) {
      const at = performance.now()
      const reply = await fetch(url, { method: 'POST', body: 'x' })
      sent.push({
        at,
        status: reply.status,
        id: reply.headers.get('fn-call-id') ?? '',
        text: await reply.text(),
      })
    }
  })
  const succeeded = () => sent.filter(({ status }) => status === 200).length
  await until(
    'every node to be warm',
    () => nodes.every(({ log }) => log().split('ran ').length > 20),
    60_000,
  )
  const [victim] = nodes as [Role]
  await victim.end('SIGKILL')
  const killed = performance.now()
  const before = succeeded()
  await until('calls after the kill', () => succeeded() > before + 300, 60_000)
  going = false
  await Promise.all(callers)

  const failed = sent.filter(({ status }) => status !== 200)
  for (const { at, status, text } of failed) {
    assert.equal(status, 502, text)
    assert.match(text, new RegExp(names[0] as string), 'the answer names the node')
    // What the balancer had not yet heard of the death may still have been written to the dead connection.
    assert.ok(at < killed + 20, `a call sent ${at - killed} ms after the kill failed: ${text}`)
  }
  const ran = nodes.flatMap(({ log }) =>
    [...log().matchAll(/ran (\w{26})/g)].map((match) => match[1] as string),
  )
  assert.equal(new Set(ran).size, ran.length, 'a call ran twice')
  const known = new Set(sent.map(({ id }) => id))
  assert.ok(sent.length > 300 && [...known].every((id) => id.length === 26))
})
