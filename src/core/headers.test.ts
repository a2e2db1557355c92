import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLoad, formatWait, parseLoad, parseWait } from './headers.ts'

const count = fc.nat(1_000_000)

test('a load survives its text', () => {
  const load = fc.record(
    {
      run: count,
      queue: count,
      cap: count,
      idle: count,
      boot: fc.stringMatching(/^[\w-]{1,26}$/),
      seq: count,
    },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(load, (value) => assert.deepEqual(parseLoad(formatLoad(value)), value)))
})

test('a wait survives its text, to the microsecond', () => {
  const ms = fc.nat(1e8).map((micros) => micros / 1_000)
  fc.assert(
    fc.property(fc.record({ queue: ms, start: ms, fetch: ms }, { noNullPrototype: true }), (wait) => {
      assert.deepEqual(parseWait(formatWait(wait)), wait)
    }),
  )
})

test('garbage is no load and no wait', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(parseLoad(text), undefined)
      assert.equal(parseWait(text), undefined)
    }),
  )
  assert.equal(parseLoad('run=-1,queue=0,cap=1,idle=0,boot=a,seq=1'), undefined)
  assert.equal(parseWait('queue=-1s,start=0s,fetch=0s'), undefined)
})
