import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Entry, Heap } from './heap.ts'

interface Thing {
  key: number
}

const change = fc.record({
  kind: fc.constantFrom('add', 'add', 'remove', 'move'),
  which: fc.nat(),
  key: fc.nat(20),
})

test('a heap has its things in order, whatever is added, removed and moved', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const heap = new Heap<Thing>((a, b) => a.key < b.key, { steps: 0 })
      const entries: Entry<Thing>[] = []
      for (const { kind, which, key } of changes) {
        const at = which % Math.max(1, entries.length)
        const entry = entries[at]
        if (kind === 'add' || !entry) entries.push(heap.add({ key }))
        else if (kind === 'move') {
          entry.item.key = key
          heap.moved(entry)
        } else {
          heap.remove(entry)
          heap.remove(entry)
          entries.splice(at, 1)
        }
        const sorted = entries.map(({ item }) => item.key).sort((a, b) => a - b)
        assert.equal(heap.size, sorted.length)
        assert.equal(heap.first?.key, sorted[0])
        assert.deepEqual(
          Array.from(heap.inOrder(), (item) => item.key),
          sorted,
        )
        const { first } = heap
        const [, second] = heap.inOrder()
        assert.equal(heap.firstBut((item) => item === first)?.key, second?.key)
      }
    }),
  )
})

test('a change of a large heap, and its first few, take few steps', () => {
  const work = { steps: 0 }
  const heap = new Heap<Thing>((a, b) => a.key < b.key, work)
  const entries = Array.from({ length: 10_000 }, (_, i) => heap.add({ key: (i * 7_919) % 10_007 }))
  work.steps = 0
  for (const entry of entries.slice(0, 100)) {
    entry.item.key = (entry.item.key * 31) % 10_007
    heap.moved(entry)
  }
  assert.ok(work.steps < 100 * 2 * 14, `${work.steps} steps for 100 changes`)
  work.steps = 0
  const walk = heap.inOrder()
  for (let i = 0; i < 16; i++) walk.next()
  assert.ok(work.steps < 300, `${work.steps} steps for the first 16`)
})
