import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '../core/clock.ts'
import { silentLogger } from '../core/logger.ts'
import type { Digest, Member, Placement } from '../placement/placement.ts'
import { FunctionTable } from './functions.ts'
import { Members, nodeName } from './members.ts'

function made(threshold = 2) {
  const tables: (readonly Member[])[] = []
  const digests: { node: number; digest: Digest }[] = []
  const nothing = () => {}
  const placement: Placement = {
    name: 'none',
    termNames: [],
    pick: nothing,
    sent: nothing,
    done: nothing,
    nack: nothing,
    report: nothing,
    evicted: nothing,
    digest: (node, digest) => void digests.push({ node, digest }),
    member: (members) => void tables.push(members),
  }
  const functions = new FunctionTable()
  const members = new Members(placement, functions, virtualClock(), threshold, silentLogger)
  const add = (name: string) => {
    const state = members.add(name)
    assert.ok(state)
    return state
  }
  return { members, functions, digests, add, table: () => tables.at(-1) }
}

const digest = { run: 0, queue: 0, cap: 4, draining: false, boot: 'b1', seq: 1, idle: {} }

test('a node is named host:port in lower case', () => {
  assert.deepEqual(['A.example:80', ' 10.0.0.1:8080 ', '[::1]:9'].map(nodeName), [
    'a.example:80',
    '10.0.0.1:8080',
    '[::1]:9',
  ])
  for (const text of ['', 'a', ':80', 'a:', 'a:0', 'a:65536', 'a:b', 'a/b:1', 'http://a:1', 'a b:1'])
    assert.throws(() => nodeName(text), { code: 'invalid' }, text)
})

test('a name that comes back is a new node: numbers are never used again', () => {
  const { members, add } = made()
  const first = add('a:1')
  assert.equal(members.add('a:1'), undefined)
  members.remove('a:1')
  assert.equal(members.get(first.node), undefined)
  assert.notEqual(add('a:1').node, first.node)
})

test('failures in a row up to the threshold take a node out, one success in between does not', () => {
  const { members, add, table } = made(3)
  const state = add('a:1')
  members.failed(state, 'x')
  members.failed(state, 'x')
  members.answered(state)
  members.failed(state, 'x')
  members.failed(state, 'x')
  assert.equal(table()?.[0]?.eligible, true)
  members.failed(state, 'x')
  assert.equal(table()?.[0]?.eligible, false)
})

test('a late answer does not bring a node back, a check does', () => {
  const { members, add, table } = made(1)
  const state = add('a:1')
  members.failed(state, 'x')
  members.answered(state)
  assert.equal(table()?.[0]?.eligible, false)
  members.healthy(state, undefined)
  assert.equal(table()?.[0]?.eligible, true)
})

test('an older report of the same boot is ignored, whatever the order', () => {
  const order = fc.array(fc.tuple(fc.constantFrom('b1', 'b2'), fc.integer({ min: 0, max: 9 })), {
    maxLength: 20,
  })
  fc.assert(
    fc.property(order, (reports) => {
      const { members, add } = made()
      const state = add('a:1')
      for (const [boot, seq] of reports) {
        const { boot: before, seq: last } = state
        const fresh = members.isFresh(state, { boot, seq })
        if (boot === before) assert.equal(fresh, seq >= last)
        if (!fresh) assert.deepEqual([state.boot, state.seq], [before, last])
      }
    }),
  )
})

test('a late report of the boot before a restart is ignored', () => {
  const { members, add } = made()
  const state = add('a:1')
  members.isFresh(state, { boot: 'b1', seq: 100 })
  assert.equal(members.isFresh(state, { boot: 'b2', seq: 1 }), true)
  assert.equal(members.isFresh(state, { boot: 'b1', seq: 101 }), false)
})

test('placement hears of a digest, with the functions that are known by number', () => {
  const { members, functions, digests, add } = made()
  const state = add('a:1')
  const fn = functions.intern('known')
  members.healthy(state, { ...digest, idle: { known: 3, unknown: 4 } })
  assert.deepEqual([...(digests[0]?.digest.idle ?? [])], [[fn, 3]])
  members.healthy(state, { ...digest, seq: 0 })
  assert.equal(digests.length, 1)
})

test('nodes that are no calls’ business are taken in turn, without those that are out or tried', () => {
  const { members, add } = made(1)
  const [a, b, c] = ['a:1', 'b:1', 'c:1'].map(add)
  assert.ok(a && b && c)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => members.next([])),
    [a.node, b.node, c.node, a.node],
  )
  members.failed(b, 'x')
  members.drains(c)
  assert.deepEqual([members.next([]), members.next([a.node])], [a.node, -1])
})
