import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartError } from '../../src/drivers/driver.ts'
import { hello, http, INVOKE, type Seen, send, setUpNode } from '../support/node-rig.ts'
import { until } from '../support/until.ts'

const told = ({ body }: Seen) => JSON.parse(body) as { message: string; detail: string; call_id: string }

const ended = { status: 'error', exitCode: 1, oom: false, startedAt: 0 } as const

for (const [says, name] of [
  [
    "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'left-pad' imported from /function/func.js",
    'left-pad',
  ],
  ["Error: Cannot find module '@scope/thing'\nRequire stack:", '@scope/thing'],
  ["ModuleNotFoundError: No module named 'requests'", 'requests'],
] as const)
  test(`a start that fails for want of ${name} says so first`, async (t) => {
    const { node, driver } = await setUpNode(t, hello())
    driver.fails = { run: new StartError('exited', 'the container ended with code 1', ended, says) }
    const { message, detail } = told(await send(node.url + INVOKE))
    assert.match(message, /^Container failed to initialize, please ensure/, 'as clients of Fn know it')
    assert.ok(detail.startsWith(`the package "${name}" is missing: `), detail)
    assert.ok(detail.includes(says))
    driver.fails = {}
  })

test('what else a function does not find is no package', async (t) => {
  const { node, driver } = await setUpNode(t, hello())
  const says = "Error: Cannot find module './lib.js'"
  driver.fails = { run: new StartError('exited', 'the container ended with code 1', ended, says) }
  assert.match(told(await send(node.url + INVOKE)).detail, /^the container ended with code 1/)
  driver.fails = {}
})

test('a timeout names the limit and the call, and a full node what it is short of', async (t) => {
  const silent = http(() => {})
  const { node } = await setUpNode(t, silent, {
    fn: { timeout: 2, max_wait: 1 },
    node: { memory: 128 * 1024 ** 2 },
  })
  const running = send(node.url + INVOKE)
  await until('the call to run', async () =>
    (await send(`${node.url}/node/load`, { method: 'GET' })).body.includes('"run":1'),
  )
  const full = told(await send(node.url + INVOKE))
  assert.match(full.detail, /memory is short: a container needs 128 MiB, 0 of 128 MiB are free/)
  const late = await running
  assert.equal(late.status, 504)
  assert.match(told(late).detail, /^it ran longer than the function's timeout of 2 s$/)
  assert.equal(told(late).call_id, late.headers['fn-call-id'])
})
