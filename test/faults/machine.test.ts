import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERRORS, type ErrorCode, SluiceError } from '../../src/core/errors.ts'
import { DriverError, type DriverFault } from '../../src/drivers/driver.ts'
import type { Store } from '../../src/store/store.ts'
import { balancerRig } from '../support/balancer-rig.ts'
import { hello, INVOKE, type Seen, send, setUpNode } from '../support/node-rig.ts'

/** What a call hears of each way a driver can let a node down. */
const FAULTS: Readonly<Record<DriverFault, ErrorCode>> = {
  'image-missing': 'no-image',
  'image-denied': 'no-image',
  'pull-failed': 'no-image',
  'bad-spec': 'init-failed',
  unsupported: 'init-failed',
  'no-room': 'refused',
  'no-space': 'no-space',
  'no-descriptors': 'no-descriptors',
  'engine-gone': 'engine-gone',
  unavailable: 'engine-gone',
  closed: 'draining',
}

/** What an answer says, in the words of the table. */
function assertIs({ status, headers, body }: Seen, code: ErrorCode, name: string): void {
  const row = ERRORS[code]
  const { message, call_id } = JSON.parse(body) as { message: string; call_id: string }
  assert.equal(status, row.status, name)
  assert.equal(message, row.message, name)
  assert.equal(headers['fn-origin'], row.of === 'function' ? 'function' : 'platform', name)
  assert.equal(headers['fn-reject'], row.reject, name)
  assert.equal(call_id, headers['fn-call-id'], name)
  assert.match(String(headers['fxlb-wait']), /s$/, name)
}

for (const where of ['prepare', 'run'] as const)
  test(`every fault of a driver in ${where} is answered as the table says`, async (t) => {
    for (const [fault, code] of Object.entries(FAULTS) as [DriverFault, ErrorCode][]) {
      const { node, driver } = await setUpNode(t, hello())
      driver.fails = { [where]: new DriverError(fault, `/var/secret: ${fault}`) }
      assertIs(await send(node.url + INVOKE), code, `${fault} in ${where}`)
      driver.fails = {}
    }
  })

const system = (code: string) => Object.assign(new Error(`${code}: no such luck, write '/var/x'`), { code })

const SHORT: readonly [string, Error, ErrorCode][] = [
  ['a full disk', system('ENOSPC'), 'no-space'],
  ['no descriptors', system('EMFILE'), 'no-descriptors'],
  [
    'a full disk that a driver calls unavailable',
    new DriverError('unavailable', 'x', { cause: system('ENOSPC') }),
    'no-space',
  ],
  [
    'no descriptors that a driver calls bad-spec',
    new DriverError('bad-spec', 'x', { cause: system('ENFILE') }),
    'no-descriptors',
  ],
  [
    'a full disk while a bundle is unpacked',
    new SluiceError('no-image', undefined, { cause: system('EDQUOT') }),
    'no-space',
  ],
]

for (const [name, error, code] of SHORT)
  test(`${name} is the machine’s fault, not the function’s`, async (t) => {
    const { node, driver } = await setUpNode(t, hello())
    driver.fails = { prepare: error }
    const seen = await send(node.url + INVOKE)
    assertIs(seen, code, name)
    assert.ok(Number(seen.headers['retry-after']) >= 1)
    assert.doesNotMatch(seen.body, /var/, 'the machine’s paths are nobody’s business')
    driver.fails = {}
  })

test('a call to a function that is not known yet is refused while the store is away', async (t) => {
  const { node, store } = await setUpNode(t, hello())
  const away = () => Promise.reject(new SluiceError('store-unavailable'))
  Object.assign(store.fns, { get: away } satisfies Partial<Store['fns']>)
  assertIs(await send(`${node.url}/invoke/unknown`), 'store-unavailable', 'store')
})

test('a balancer sends such a call to the next node, and the caller sees nothing of it', async (t) => {
  const { node } = await setUpNode(t, hello())
  const short = await setUpNode(t, hello())
  short.driver.fails = { prepare: system('ENOSPC') }
  const names = [short, { node }].map(({ node: { url } }) => new URL(url).host)
  await using rig = await balancerRig(0, { nodes: names })
  for (let call = 0; call < 4; call++) {
    const seen = await send(rig.balancer.url + INVOKE)
    assert.deepEqual([seen.status, seen.body], [200, 'hello'])
  }
  short.driver.fails = {}
})
