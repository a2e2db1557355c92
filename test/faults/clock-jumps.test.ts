import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Fn } from '../../src/core/words.ts'
import { type FastClock, fastClock } from '../support/fast-clock.ts'
import { clean, type FaultRig, loadOf, outcomeOf, scripted, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE, send } from '../support/node-rig.ts'
import { answer } from '../support/raw-function.ts'
import { until } from '../support/until.ts'

const HOUR = 3_600_000
const JUMPS = { 'an hour on': HOUR, 'an hour back': -HOUR }
/** Seconds of the node's clock, of which there are fifty in one. */
const TIMEOUT = 1_000

interface Setup extends FaultRig {
  readonly clock: FastClock
  /** The connection of the scripted call, once it came: it is answered when the test says so. */
  readonly held: Promise<Socket>
}

/** A node whose function keeps its first scripted call until it is told to answer. */
async function setUp(t: TestContext, fn: Partial<Fn> = {}): Promise<Setup> {
  const clock = fastClock(50)
  const rig = await setUpFaults(t, { fn: { timeout: TIMEOUT, max_wait: TIMEOUT, ...fn }, node: { clock } })
  const { promise: held, resolve } = Promise.withResolvers<Socket>()
  rig.fn.script = resolve
  return { ...rig, clock, held }
}

const waiting = async (rig: FaultRig, calls: number) =>
  until('calls to wait', async () => (await loadOf(rig)).queue === calls)

for (const [name, ms] of Object.entries(JUMPS)) {
  test(`a clock set ${name} ends no running call`, async (t) => {
    const rig = await setUp(t)
    const running = scripted(rig)
    const connection = await rig.held
    rig.clock.jump(ms)
    assert.deepEqual(await loadOf(rig).then(({ run }) => run), 1)
    connection.write(answer('in time'))
    assert.equal(await running, '200 in time')
    assert.equal(await clean(rig, 'next'), '200 own:next')
    assert.equal(rig.driver.started, 1, 'nor does it age what is idle')
    await rig.end()
  })

  test(`a clock set ${name} keeps the timeout of a running call`, async (t) => {
    const rig = await setUp(t, { timeout: 20 })
    const running = scripted(rig)
    await rig.held
    rig.clock.jump(ms)
    assert.equal(await running, '504 Timed out')
    await rig.end()
  })

  test(`a clock set ${name} refuses no call that waits`, async (t) => {
    const rig = await setUp(t)
    const running = scripted(rig)
    const connection = await rig.held
    const queued = clean(rig, 'queued')
    await waiting(rig, 1)
    rig.clock.jump(ms)
    connection.write(answer('in time'))
    assert.deepEqual([await running, await queued], ['200 in time', '200 own:queued'])
    await rig.end()
  })
}

test('a clock set an hour on refuses no call that waits with a deadline', async (t) => {
  const rig = await setUp(t)
  const running = scripted(rig)
  const connection = await rig.held
  const deadline = new Date(rig.clock.wall() + TIMEOUT * 1_000).toISOString()
  const headers = { 'Fn-Deadline': deadline }
  const queued = outcomeOf(send(rig.node.url + INVOKE, { headers, body: 'queued' }))
  await waiting(rig, 1)
  rig.clock.jump(HOUR)
  connection.write(answer('in time'))
  assert.deepEqual([await running, await queued], ['200 in time', '200 own:queued'])
  await rig.end()
})
