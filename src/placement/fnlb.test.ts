import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seededRandom } from '../core/random.ts'
import { acceptance, fnlb } from './fnlb.ts'
import { placementContract } from './placement.contract.ts'
import { type Decision, type Member, makeDecision, type Placement } from './placement.ts'

placementContract('fnlb', fnlb)

/** `fn` 0, 1, … stand for these keys; of three nodes `b`'s home is the first, `a`'s the second. */
const KEYS = ['b', 'a', 'c', '/r/myapp/hello']
const ready = { eligible: true }
const nodes = (count: number): Member[] =>
  Array.from({ length: count }, (_, node) => ({ node, name: `n${node}:80`, ...ready }))

function made(
  members: readonly Member[],
  random: Random = seededRandom(1),
  keys = (fn: number) => KEYS[fn] ?? `${fn}`,
) {
  const placement = fnlb(keys, random)
  placement.member(members, 0)
  return placement
}

function pick(placement: Placement, fn: number, tried: readonly number[] = []): Decision {
  const out = makeDecision()
  placement.pick(fn, 0, tried, out)
  return out
}

function wait(placement: Placement, fn: number, node: number, ...samples: number[]): void {
  for (const queue of samples) placement.report(fn, node, { queue, start: 0, fetch: 0 }, undefined, 0)
}

/** Share of each node, in per cent, over many picks. */
function shares(placement: Placement, fn: number, count: number, picks = 20_000): number[] {
  const hits = new Array<number>(count).fill(0)
  for (let i = 0; i < picks; i++) {
    const { node } = pick(placement, fn)
    hits[node] = (hits[node] ?? 0) + 1
  }
  return hits.map((hit) => (100 * hit) / picks)
}

const near = (actual: readonly number[], expected: readonly number[], within: number) => {
  actual.forEach((share, i) => {
    assert.ok(
      Math.abs(share - (expected[i] ?? Number.NaN)) <= within,
      `${actual} is not within ${within} of ${expected}`,
    )
  })
}

test('row 68: 100 sequential calls of a quick function land on one node', () => {
  const placement = made(nodes(5))
  const chosen = new Set<number>()
  for (let i = 0; i < 100; i++) {
    const { node } = pick(placement, 3)
    placement.sent(3, node, i)
    wait(placement, 3, node, 2)
    placement.done(3, node, { kind: 'ok', totalMs: 5 }, i)
    chosen.add(node)
  }
  assert.deepEqual([...chosen], [4])
})

test('row 69: 1000 functions over 5 nodes give each 16 to 24 %', () => {
  const placement = made(nodes(5), seededRandom(1), (fn) => `/r/app/route${fn}`)
  const hits = [0, 0, 0, 0, 0]
  for (let fn = 0; fn < 1_000; fn++) {
    const { node } = pick(placement, fn)
    hits[node] = (hits[node] ?? 0) + 1
  }
  for (const hit of hits) assert.ok(hit >= 160 && hit <= 240, `${hits}`)
})

test('row 70: two balancers given the same nodes in different order choose the same node', () => {
  const here = made(nodes(7))
  const there = made(nodes(7).reverse())
  for (let fn = 0; fn < 200; fn++) assert.equal(pick(here, fn).node, pick(there, fn).node)
})

test('row 71: of a function that waits 3 s at home about 90 % moves to the next node', () => {
  const placement = made(nodes(3))
  wait(placement, 0, 0, 3_000)
  near(shares(placement, 0, 3), [10, 90, 0], 1)
})

test('row 71: the overflow of one function leaves the others where they are', () => {
  const placement = made(nodes(3), seededRandom(1), () => 'b')
  wait(placement, 0, 0, 3_000)
  assert.deepEqual(shares(placement, 1, 3, 100), [100, 0, 0])
})

test('when the next node waits long as well the rest moves on', () => {
  const placement = made(nodes(3))
  for (const node of [0, 1]) wait(placement, 0, node, 3_000)
  near(shares(placement, 0, 3), [10, 9, 81], 1)
})

test('row 72: with an average of 1.25 s a quarter stays', () => {
  const placement = made(nodes(3))
  wait(placement, 0, 0, 1_250)
  near(shares(placement, 0, 3), [25, 75, 0], 1.5)
})

test('row 73: with an average of 499 ms everything stays', () => {
  const placement = made(nodes(3))
  wait(placement, 0, 0, 499)
  assert.deepEqual(shares(placement, 0, 3, 500), [100, 0, 0])
})

test('the chance to stay falls from 40 to 10 % between 500 ms and 2 s', () => {
  const percent = {
    499: 100,
    500: 40,
    501: 39,
    600: 38,
    750: 35,
    1000: 30,
    1250: 25,
    1500: 20,
    1750: 15,
    2000: 10,
    9000: 10,
  }
  for (const [ms, accept] of Object.entries(percent))
    assert.equal(acceptance(Number(ms) * 1e6), accept, `${ms} ms`)
})

test('row 74: 0 then 1 s is remembered as 100 ms', () => {
  const placement = made(nodes(3))
  wait(placement, 0, 0, 0, 1_000)
  assert.equal(pick(placement, 0).candidates[0]?.terms[0], 100)
})

test('row 75: after 14 zero samples from 2 s all traffic returns', () => {
  const placement = made(nodes(3))
  wait(placement, 0, 0, 2_000, ...new Array<number>(13).fill(0))
  assert.ok((shares(placement, 0, 3, 1_000)[0] ?? 100) < 60)
  wait(placement, 0, 0, 0)
  assert.deepEqual(shares(placement, 0, 3, 500), [100, 0, 0])
})

test('row 76: when every node waits long the calls spread roughly evenly', () => {
  const placement = made(nodes(3))
  for (const node of [0, 1, 2]) wait(placement, 0, node, 3_000)
  near(shares(placement, 0, 3), [36.9, 33.2, 29.9], 1.5)
})

test('row 76: luck that never comes ends the walk at the node with the fewest calls outstanding', () => {
  const placement = made(nodes(3), () => 0.999)
  for (const node of [0, 1, 2]) wait(placement, 0, node, 3_000)
  assert.equal(pick(placement, 0).node, 0)
  placement.sent(0, 0, 0)
  placement.sent(0, 1, 0)
  const out = pick(placement, 0)
  assert.deepEqual([out.node, out.reason], [2, 'full'])
})

test('a reply without a wait teaches nothing', () => {
  const placement = made(nodes(3))
  wait(placement, 0, 0, 3_000)
  for (let i = 0; i < 100; i++) placement.report(0, 0, undefined, undefined, i)
  assert.equal(pick(placement, 0).candidates[0]?.terms[0], 3_000)
})

test('a member that is down keeps its place, so that the others keep their homes', () => {
  const up = made(nodes(5))
  const down = made(nodes(5).map((member) => ({ ...member, eligible: member.node !== 2 })))
  for (let fn = 0; fn < 200; fn++) {
    const { node, home } = pick(up, fn)
    assert.equal(pick(down, fn).home, home)
    assert.equal(pick(down, fn).node, node === 2 ? 3 : node)
  }
})

test('the next attempt of a call goes to the node after the one that was tried', () => {
  const out = pick(made(nodes(3)), 0, [0])
  assert.deepEqual([out.node, out.home, out.reason], [1, 0, 'retry'])
})

test('a decision shows the own calls outstanding', () => {
  const placement = made(nodes(3))
  placement.sent(0, 0, 0)
  placement.sent(0, 0, 0)
  placement.done(0, 0, { kind: 'lost', totalMs: 1 }, 0)
  assert.equal(pick(placement, 0).candidates[0]?.terms[2], 1)
})

test('calls outstanding return to zero, also across a member that left and came back', () => {
  const placement = made(nodes(2))
  placement.sent(0, 0, 0)
  placement.member([], 0)
  placement.done(0, 0, { kind: 'ok', totalMs: 1 }, 0)
  placement.member(nodes(2), 0)
  placement.done(0, 0, { kind: 'ok', totalMs: 1 }, 0)
  assert.equal(pick(placement, 0).candidates[0]?.terms[2], 0)
})

test('a function whose number was given up is kept no longer, and late reports of it are not', () => {
  const given = new Set([0, 1, 2])
  const placement = made(nodes(3), seededRandom(1), (fn) => (given.has(fn) ? `${fn}` : ''))
  for (const fn of given) {
    pick(placement, fn)
    wait(placement, fn, 0, 3_000)
  }
  assert.equal(placement.functions, 3)
  given.delete(1)
  placement.forget(1)
  assert.equal(placement.functions, 2)
  pick(placement, 1)
  wait(placement, 1, 0, 3_000)
  assert.equal(placement.functions, 2)
})
