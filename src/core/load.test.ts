import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLoad, parseDigest, parseLoad } from './load.ts'

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

test('garbage is no load', () => {
  fc.assert(fc.property(fc.string(), (text) => assert.equal(parseLoad(text), undefined)))
  assert.equal(parseLoad('run=-1,queue=0,cap=1,idle=0,boot=a,seq=1'), undefined)
})

const digest = {
  kind: 'full',
  run: 1,
  queue: 2,
  cap: 3,
  draining: false,
  boot: 'b1',
  seq: 4,
  idle: { fn: 5 },
}

test('a digest is read whole, without what counts nothing', () => {
  assert.deepEqual(parseDigest(JSON.stringify(digest)), digest)
  const odd = { ...digest, idle: { good: 1, bad: -1, worse: 'x', half: 0.5 } }
  assert.deepEqual(parseDigest(JSON.stringify(odd))?.idle, { good: 1 })
})

test('anything else is no digest', () => {
  const wrong = [
    { run: -1 },
    { queue: 'x' },
    { cap: null },
    { draining: 1 },
    { boot: 'a b' },
    { seq: 1.5 },
    { idle: [] },
  ]
  for (const change of wrong) assert.equal(parseDigest(JSON.stringify({ ...digest, ...change })), undefined)
  for (const text of ['', 'ok', 'null', '7', '[]', '{}']) assert.equal(parseDigest(text), undefined)
  fc.assert(fc.property(fc.json(), (text) => void parseDigest(text)))
})
