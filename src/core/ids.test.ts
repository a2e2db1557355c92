import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from './clock.ts'
import { idMaker, isId } from './ids.ts'
import { seededRandom } from './random.ts'

test('ids have 26 characters, are unique and sort by time', () => {
  const clock = virtualClock(1_700_000_000_000)
  const makeId = idMaker(clock, seededRandom(1))
  const ids = Array.from({ length: 2_000 }, (_, i) => {
    if (i % 10 === 0) clock.advance(1)
    return makeId()
  })
  assert.ok(ids.every(isId))
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual(ids.toSorted(), ids)
})

test('two makers in the same millisecond do not collide', () => {
  const clock = virtualClock(1_700_000_000_000)
  const random = seededRandom(2)
  assert.notEqual(idMaker(clock, random)(), idMaker(clock, random)())
})

test('what is no id is told from one', () => {
  for (const text of ['', '01M85NYHJDR00040GZJ000000', '01M85NYHJDR00040GZJ000000U', '../../etc/passwd']) {
    assert.ok(!isId(text), text)
  }
  assert.ok(isId('01M85NYHJDR00040GZJ0000001'))
})
