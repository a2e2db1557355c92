import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '../core/clock.ts'
import type { Reject } from '../core/headers.ts'
import type { Load } from '../core/load.ts'
import { seededRandom } from '../core/random.ts'
import { Dispatch, MAX_REFUSALS } from './dispatch.ts'
import { fnlb } from './fnlb.ts'
import { type KnownNode, Nodes } from './nodes.ts'
import { type CallOutcome, makeDecision, type Placement } from './placement.ts'
import { roundRobin } from './round-robin.ts'

const load: Load = { run: 1, queue: 2, cap: 4, idle: 0, boot: 'b', seq: 1 }
const wait = { queue: 7, start: 0, fetch: 0 }

/** Calls over `count` nodes, each to the next one, and what placement was told of them. */
function made(count: number) {
  const told: { what: string; fn: number; node: number; detail?: unknown }[] = []
  const inner = roundRobin(() => '', seededRandom(1))
  const placement: Placement = {
    ...inner,
    sent: (fn, node) => void told.push({ what: 'sent', fn, node }),
    done: (fn, node, outcome) => void told.push({ what: 'done', fn, node, detail: outcome }),
    nack: (fn, node, load) => void told.push({ what: 'nack', fn, node, detail: load }),
    report: (fn, node, wait, load) => void told.push({ what: 'report', fn, node, detail: { wait, load } }),
  }
  const nodes = new Nodes(placement)
  for (let i = 0; i < count; i++) nodes.add(`n${i}:1`, 0)
  const shared = { placement, nodes, decision: makeDecision() }
  return {
    nodes,
    told,
    call: (fn = 3) => new Dispatch(shared, fn),
    words: () => told.map(({ what }) => what),
  }
}

test('a call goes to a node, is answered, and is over', () => {
  const { call, told, nodes } = made(2)
  const dispatch = call()
  const node = dispatch.begin(10)
  assert.ok(node)
  assert.deepEqual([dispatch.at, node.inflight, dispatch.sentAt], [node, 1, 10])
  dispatch.answered({ kind: 'ok', wait, load }, 15)
  dispatch.ended(20)
  assert.equal(node.inflight, 0)
  assert.deepEqual(told, [
    { what: 'sent', fn: 3, node: node.node },
    { what: 'report', fn: 3, node: node.node, detail: { wait, load } },
    { what: 'done', fn: 3, node: node.node, detail: { kind: 'ok', totalMs: 10 } },
  ])
  assert.equal(nodes.all.length, 2)
})

test('a refused call goes to a node that it has not been to, as long as it can be sent again', () => {
  const { call, words } = made(3)
  const dispatch = call()
  const first = dispatch.begin(0)
  const second = dispatch.refused('busy', load, true, 1)
  assert.ok(first && second && first !== second)
  assert.deepEqual([first.inflight, second.inflight, dispatch.refusals, dispatch.reject], [0, 1, 1, 'busy'])
  assert.equal(dispatch.refused('no-image', undefined, false, 2), undefined)
  dispatch.ended(3)
  assert.deepEqual(words(), ['sent', 'nack', 'sent', 'nack'])
})

test('a quota is its answer, whichever node says so', () => {
  const { call } = made(3)
  const dispatch = call()
  dispatch.begin(0)
  assert.equal(dispatch.refused('quota', undefined, true, 1), undefined)
})

test('a call collects no more refusals than it may', () => {
  const { call, words } = made(20)
  const dispatch = call()
  for (let next = dispatch.begin(0); next; next = dispatch.refused('busy', undefined, true, 1));
  assert.equal(words().filter((what) => what === 'sent').length, MAX_REFUSALS)
})

test('a node that drains is chosen by nobody until it says otherwise', () => {
  const { call, nodes } = made(2)
  const dispatch = call()
  const drained = dispatch.begin(0)
  dispatch.refused('draining', undefined, true, 1)
  for (let i = 0; i < 4; i++) assert.notEqual(call().begin(2), drained)
  nodes.setDraining(drained?.node ?? -1, false, 3)
  assert.ok([call().begin(4), call().begin(4)].includes(drained))
})

test('a node that cannot be reached costs no refusal', () => {
  const { call, told } = made(8)
  const dispatch = call()
  dispatch.begin(0)
  for (let i = 0; i < 7; i++) assert.ok(dispatch.unreached(1))
  assert.equal(dispatch.unreached(2), undefined)
  assert.deepEqual([dispatch.refusals, dispatch.reject], [0, undefined])
  assert.equal(told.filter(({ what }) => what === 'done').length, 8)
})

test('a platform’s own error says nothing of how long its calls wait', () => {
  const { call, told } = made(1)
  const dispatch = call()
  dispatch.begin(0)
  dispatch.answered({ kind: 'platform', wait, load: undefined }, 1)
  assert.deepEqual(told.at(-1)?.detail, { wait: undefined, load: undefined })
})

test('a load that is older than what is known is left out, of refusals too', () => {
  const { call, told, nodes } = made(1)
  const [node] = nodes.all
  nodes.isFresh(node?.node ?? -1, { boot: 'b', seq: 9 })
  const one = call()
  one.begin(0)
  one.answered({ kind: 'ok', wait, load }, 1)
  assert.deepEqual(told.at(-1)?.detail, { wait, load: undefined })
  one.ended(2)
  const two = call()
  two.begin(3)
  two.refused('busy', load, true, 4)
  assert.equal(told.at(-1)?.detail, undefined)
})

test('without a node a call is nowhere', () => {
  const { call, told } = made(0)
  const dispatch = call()
  assert.equal(dispatch.begin(0), undefined)
  dispatch.left(1)
  assert.deepEqual([dispatch.at, told], [undefined, []])
})

const EVENTS = ['answered', 'refused', 'unreached', 'ended', 'lost', 'left'] as const
const KINDS: readonly CallOutcome['kind'][] = ['ok', 'function', 'platform']
const rejects: fc.Arbitrary<Reject> = fc.constantFrom('busy', 'draining', 'no-image', 'quota')

test('whatever happens to many calls at once, each node is told of each once and none is outstanding at the end', () => {
  const step = fc.record({
    call: fc.nat(5),
    event: fc.constantFrom(...EVENTS),
    reject: rejects,
    kind: fc.constantFrom(...KINDS),
    repeatable: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 6 }), fc.array(step, { maxLength: 60 }), (count, steps) => {
      const { call, told, nodes } = made(count)
      const calls = Array.from({ length: 6 }, (_, fn) => call(fn))
      for (const dispatch of calls) dispatch.begin(0)
      for (const [now, { call, event, reject, kind, repeatable }] of steps.entries()) {
        const dispatch = calls[call] as Dispatch
        if (event === 'answered') dispatch.answered({ kind, wait, load: { ...load, seq: now } }, now)
        else if (event === 'refused') dispatch.refused(reject, load, repeatable, now)
        else dispatch[event](now)
      }
      for (const dispatch of calls) dispatch.left(99)
      for (const { inflight } of nodes.all) assert.equal(inflight, 0)
      const seen = (what: string) =>
        told.filter((one) => one.what === what).map(({ fn, node }) => `${fn} at ${node}`)
      const sent = seen('sent')
      assert.equal(new Set(sent).size, sent.length, 'no node gets a call twice')
      assert.deepEqual([...seen('done'), ...seen('nack')].sort(), sent.sort())
    }),
  )
})

test('balancers over a thousand nodes are driven by a clock alone: refused calls find room, and all end', () => {
  const clock = virtualClock()
  const random = seededRandom(7)
  const running = new Map<number, number>()
  let seq = 0
  const names = Array.from({ length: 1_000 }, (_, node) => `n${node}:80`)
  const balancers = [1, 2, 3].map((seed) => {
    const placement = fnlb((fn) => `fn${fn}`, seededRandom(seed))
    const nodes = new Nodes(placement)
    nodes.addAll(names, 0)
    return { placement, nodes, decision: makeDecision() }
  })
  const ends = { served: 0, refused: 0 }
  /** A node has two slots, of a call of half a second each. */
  const arrive = (dispatch: Dispatch, at: KnownNode | undefined): void => {
    if (!at) {
      ends.refused++
      return
    }
    const { node } = at
    const said = () => ({ ...load, boot: `b${node}`, seq: seq++ })
    const calls = running.get(node) ?? 0
    if (calls >= 2) {
      arrive(dispatch, dispatch.refused('busy', said(), true, clock.now()))
      return
    }
    running.set(node, calls + 1)
    clock.after(500, () => {
      running.set(node, (running.get(node) ?? 0) - 1)
      dispatch.answered({ kind: 'ok', wait, load: said() }, clock.now())
      dispatch.ended(clock.now())
      ends.served++
    })
  }
  for (let i = 0; i < 6_000; i++) {
    const shared = balancers[i % 3]
    assert.ok(shared)
    const dispatch = new Dispatch(shared, Math.floor(random() * 2_000))
    arrive(dispatch, dispatch.begin(clock.now()))
    clock.advance(1)
  }
  clock.advance(1_000)
  assert.equal(ends.served + ends.refused, 6_000)
  assert.ok(ends.served > 5_900, `${ends.served} served`)
  for (const { nodes } of balancers) for (const { inflight } of nodes.all) assert.equal(inflight, 0)
})
