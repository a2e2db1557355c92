import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { guessKey, isCall, parseTarget } from './routes.ts'

test('the path of a call names a function or a trigger', () => {
  assert.deepEqual(parseTarget('/invoke/01A?x=1'), { kind: 'fn', fn: '01A' })
  assert.deepEqual(parseTarget('/t/shop'), { kind: 'trigger', app: 'shop', source: '/' })
  assert.deepEqual(parseTarget('/t/shop/'), { kind: 'trigger', app: 'shop', source: '/' })
  assert.deepEqual(parseTarget('/t/shop/a%20b/c?q=1'), { kind: 'trigger', app: 'shop', source: '/a b/c' })
})

test('what names neither is no target', () => {
  for (const target of ['/', '/invoke/', '/invoke/a/b', '/t/', '/t/%zz', '/v2/apps', '*', '']) {
    assert.equal(parseTarget(target), undefined, target)
  }
})

test('any target at all is answered, never thrown at', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const target of [text, `/t/${text}`, `/invoke/${text}`]) {
        assert.ok(isCall(target) || parseTarget(target) === undefined)
      }
    }),
  )
})

test('a guessed key has three segments at most, and no query', () => {
  assert.equal(guessKey('/t/shop/users/17?x=1'), '/t/shop/users')
  assert.equal(guessKey('/t/shop'), '/t/shop')
})
