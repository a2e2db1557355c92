import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatWait, parseWait } from './headers.ts'

test('a wait survives its text, to the microsecond', () => {
  const ms = fc.nat(1e8).map((micros) => micros / 1_000)
  fc.assert(
    fc.property(fc.record({ queue: ms, start: ms, fetch: ms }, { noNullPrototype: true }), (wait) => {
      assert.deepEqual(parseWait(formatWait(wait)), wait)
    }),
  )
})

test('garbage is no wait', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(parseWait(text), undefined)
    }),
  )
  assert.equal(parseWait('queue=-1s,start=0s,fetch=0s'), undefined)
})
