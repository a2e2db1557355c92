import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type NodeReport, Nodes } from './nodes.ts'
import type { Member, Placement } from './placement.ts'

const digest: NodeReport = { run: 0, queue: 0, cap: 4, draining: false, boot: 'b1', seq: 1, idle: new Map() }

/** Nodes, and what placement has heard of them. */
function made() {
  const tables: (readonly Member[])[] = []
  const digests: number[] = []
  const nothing = () => {}
  const placement: Placement = {
    name: 'none',
    termNames: [],
    functions: 0,
    pick: nothing,
    sent: nothing,
    done: nothing,
    nack: nothing,
    report: nothing,
    evicted: nothing,
    forget: nothing,
    digest: (node) => void digests.push(node),
    member: (members) => void tables.push(members),
  }
  const eligible = () => tables.at(-1)?.map((member) => member.eligible)
  return { nodes: new Nodes(placement), digests, tables, eligible }
}

test('a node that comes back is a new one: numbers are never used again', () => {
  const { nodes } = made()
  const { node } = nodes.add('a:1', 0)
  nodes.remove(node, 1)
  assert.equal(nodes.get(node), undefined)
  assert.notEqual(nodes.add('a:1', 2).node, node)
})

test('placement hears of a node that may be chosen no more, or again, and of nothing else', () => {
  const { nodes, tables, eligible } = made()
  const { node } = nodes.add('a:1', 0)
  nodes.setOnline(node, true, 1)
  nodes.setDraining(node, false, 1)
  assert.equal(tables.length, 1)
  nodes.setOnline(node, false, 2)
  assert.deepEqual(eligible(), [false])
  nodes.setDraining(node, true, 3)
  nodes.setOnline(node, true, 4)
  assert.deepEqual(eligible(), [false])
  nodes.setDraining(node, false, 5)
  assert.deepEqual(eligible(), [true])
})

test('an older report of the same boot is ignored, whatever the order', () => {
  const order = fc.array(fc.tuple(fc.constantFrom('b1', 'b2', 'b3'), fc.integer({ min: 0, max: 9 })))
  fc.assert(
    fc.property(order, (reports) => {
      const { nodes } = made()
      const { node } = nodes.add('a:1', 0)
      let [boot, last, seq] = ['', '', -1]
      for (const report of reports) {
        const fresh = nodes.isFresh(node, { boot: report[0], seq: report[1] })
        assert.equal(fresh, report[0] === boot ? report[1] >= seq : report[0] !== last)
        if (!fresh) continue
        if (report[0] !== boot) last = boot
        boot = report[0]
        seq = report[1]
      }
    }),
  )
})

test('a late report of the boot before a restart is ignored', () => {
  const { nodes } = made()
  const { node } = nodes.add('a:1', 0)
  nodes.isFresh(node, { boot: 'b1', seq: 100 })
  assert.equal(nodes.isFresh(node, { boot: 'b2', seq: 1 }), true)
  assert.equal(nodes.isFresh(node, { boot: 'b1', seq: 101 }), false)
})

test('an old digest neither reaches placement nor ends a drain', () => {
  const { nodes, digests, eligible } = made()
  const { node } = nodes.add('a:1', 0)
  nodes.digest(node, { ...digest, seq: 5, draining: true }, 1)
  nodes.digest(node, { ...digest, seq: 4 }, 2)
  assert.deepEqual([digests, eligible()], [[node], [false]])
  nodes.digest(node, { ...digest, seq: 6 }, 3)
  assert.deepEqual([digests.length, eligible()], [2, [true]])
})

test('a node that left is asked of no more: what is said of it late changes nothing', () => {
  const { nodes, tables } = made()
  const { node } = nodes.add('a:1', 0)
  nodes.sent(node)
  nodes.remove(node, 1)
  nodes.done(node)
  nodes.setOnline(node, false, 2)
  nodes.digest(node, digest, 2)
  assert.equal(nodes.isFresh(node, digest), false)
  assert.equal(tables.length, 2)
})
