import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Line, type Place } from './line.ts'

test('a line keeps its order, whoever leaves', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant(undefined), fc.nat())), (changes) => {
      const line = new Line<number>()
      let places: Place<number>[] = []
      for (const [i, which] of changes.entries()) {
        const place = which === undefined ? undefined : places[which % Math.max(1, places.length)]
        if (place) {
          assert.equal(line.leave(place), true)
          assert.equal(line.leave(place), false)
          places = places.filter((other) => other !== place)
        } else places.push(line.join(i))
        const items = places.map(({ item }) => item)
        assert.deepEqual([line.size, line.first, line.last], [items.length, items[0], items.at(-1)])
        assert.deepEqual([...line], items)
      }
    }),
  )
})

test('who is looked at may leave', () => {
  const line = new Line<number>()
  const places = [1, 2, 3].map((i) => line.join(i))
  for (const item of line) line.leave(places[item - 1])
  assert.equal(line.size, 0)
})
