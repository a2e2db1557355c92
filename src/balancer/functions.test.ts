import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FunctionTable } from './functions.ts'

test('a call names a function by its id', () => {
  assert.equal(new FunctionTable().keyOfTarget('/invoke/01FN?x=/y'), '01FN')
})

test('a trigger is guessed by its first segments until it is learned', () => {
  const functions = new FunctionTable()
  assert.equal(functions.keyOfTarget('/t/shop/users/17?x'), '/t/shop/users')
  functions.learn('/t/shop/users/17?y', '01FN')
  assert.equal(functions.keyOfTarget('/t/shop/users/17?z'), '01FN')
  assert.equal(functions.keyOfTarget('/t/shop/users/18'), '/t/shop/users')
})

test('what was learned is replaced when a path resolves to another function', () => {
  const functions = new FunctionTable()
  functions.learn('/t/a/b', 'old')
  functions.learn('/t/a/b', 'new')
  assert.equal(functions.keyOfTarget('/t/a/b'), 'new')
})

test('the paths learned are bounded, the one not called for longest goes', () => {
  const functions = new FunctionTable({ functions: 10, learned: 2 })
  functions.learn('/t/a/1', 'f1')
  functions.learn('/t/a/2', 'f2')
  functions.keyOfTarget('/t/a/1')
  functions.learn('/t/a/3', 'f3')
  assert.deepEqual(
    ['/t/a/1', '/t/a/2', '/t/a/3'].map((path) => functions.keyOfTarget(path)),
    ['f1', '/t/a/2', 'f3'],
  )
})

test('a number is never given to another function, also when its own has given it up', () => {
  const functions = new FunctionTable({ functions: 2, learned: 1 })
  assert.deepEqual(
    ['a', 'b', 'a', 'c', 'b'].map((key) => functions.intern(key)),
    [0, 1, 0, 2, 3],
  )
  assert.deepEqual(
    [0, 1, 2, 3].map((fn) => functions.key(fn)),
    ['', '', 'c', 'b'],
  )
  assert.deepEqual([functions.find('a'), functions.find('b')], [undefined, 3])
})
