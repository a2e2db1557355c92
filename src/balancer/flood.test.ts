import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerRig, send } from '../../test/support/balancer-rig.ts'
import { virtualClock } from '../core/clock.ts'
import { seededRandom } from '../core/random.ts'
import { Dispatch } from '../placement/dispatch.ts'
import { Nodes } from '../placement/nodes.ts'
import { makeDecision, type Placement } from '../placement/placement.ts'
import { STRATEGIES } from '../placement/strategies.ts'
import { FunctionTable } from './functions.ts'
import { Stats } from './stats.ts'

const LONG = 'x'.repeat(100_000)

test('an id or an app’s name that is too long is answered 404 with the rule, and no node hears of it', async () => {
  await using rig = await balancerRig(1)
  for (const [path, rule] of [
    [`/invoke/${'x'.repeat(65)}`, /a function's id has at most 64 characters, got 65/],
    [`/invoke/${LONG}?x`, /at most 64 characters, got 100000/],
    [`/t/${LONG}/a`, /an app's name has at most 255 characters, got 100000/],
  ] as const) {
    const got = await send(rig.balancer.url + path, { method: 'POST', body: 'x' })
    assert.equal(got.status, 404)
    assert.match(JSON.parse(got.text).detail, rule)
    assert.ok(got.text.length < 300)
  }
  assert.equal(rig.nodes[0]?.seen.length, 0)
})

for (const [name, factory] of Object.entries(STRATEGIES))
  test(`whatever callers name, what is kept of it stays bounded: ${name}`, () => {
    const functions: FunctionTable = new FunctionTable({
      maxBytes: 100_000,
      forget: (fn) => placement.forget(fn),
    })
    const placement: Placement = factory((fn) => functions.key(fn), seededRandom(1))
    const nodes = new Nodes(placement)
    for (const host of ['a:1', 'b:1', 'c:1']) nodes.add(host, 0)
    const shared = { placement, nodes, decision: makeDecision() }
    const slow: Dispatch[] = []
    for (let i = 0; i < 20_000; i++) {
      const target = i % 2 === 0 ? `/invoke/${i}${'x'.repeat(i % 60)}` : `/t/app${i}/${'y'.repeat(i)}/${i}`
      const dispatch = new Dispatch(shared, functions.intern(functions.keyOfTarget(target)))
      // Some begin, are refused and report only after their number has been given up.
      if (i % 10 === 0) slow.push(dispatch)
      else dispatch.begin(i)
      dispatch.answered({ kind: 'ok', wait: { queue: 5, start: 0, fetch: 0 }, load: undefined }, i)
      dispatch.ended(i)
      if (slow.length < 1_000) continue
      for (const late of slow.splice(0)) {
        late.begin(i)
        late.refused('busy', undefined, true, i)
        late.answered({ kind: 'ok', wait: { queue: 5, start: 0, fetch: 0 }, load: undefined }, i)
        late.ended(i)
      }
    }
    assert.ok(functions.bytes <= 100_000, `${functions.bytes} bytes`)
    assert.ok(functions.size <= 200, `${functions.size} functions`)
    assert.ok(placement.functions <= functions.size, `placement keeps ${placement.functions}`)
  })

test('statistics are bounded in bytes, also within one second', () => {
  const clock = virtualClock(1_700_000_000_000)
  const stats = new Stats(clock, 100_000)
  for (let i = 0; i < 10_000; i++) {
    stats.record('127.0.0.1:9000', `${i}${'x'.repeat(i % 500)}`, 1)
    if (i % 3_000 === 0) clock.advance(1_000)
    assert.ok(stats.bytes <= 200_000, `${stats.bytes} bytes`)
  }
  clock.advance(1_000)
  const { stats: rows } = stats.since()
  assert.ok(rows.length > 10 && rows.length < 1_000, `${rows.length} rows`)
  assert.equal(rows.at(-1)?.func.startsWith('9999'), true)
})
