import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FunctionTable } from './functions.ts'
import { LearnedRoutes } from './learned-routes.ts'

test('a call names a function by its id', () => {
  assert.equal(new FunctionTable().keyOfTarget('/invoke/01FN?x=/y'), '01FN')
})

test('a trigger is guessed by its first segments until it is learned', () => {
  const functions = new FunctionTable()
  assert.equal(functions.keyOfTarget('/t/shop/users/17?x'), '/t/shop/users')
  functions.learn('/t/shop/users/17?y', '/users/17', '01FN')
  assert.equal(functions.keyOfTarget('/t/shop/users/17?z'), '01FN')
  assert.equal(functions.keyOfTarget('/t/shop/users/18'), '/t/shop/users')
})

test('what one path with parameters taught holds for every path of that trigger, as the node would match it', () => {
  const functions = new FunctionTable()
  functions.learn('/t/shop/users/17', '/users/:id', 'user')
  functions.learn('/t/shop/users/me', '/users/me', 'me')
  functions.learn('/t/shop/files/a/b', '/files/*rest', 'files')
  const keys = ['users/18', 'users/%6de', 'users/18/x', 'files/x/y/z'].map((path) =>
    functions.keyOfTarget(`/t/shop/${path}`),
  )
  assert.deepEqual(keys, ['user', 'me', '/t/shop/users', 'files'])
  assert.equal(functions.keyOfTarget('/t/other/users/18'), '/t/other/users')
})

test('what was learned is replaced when a path resolves to another function, or by another source', () => {
  const functions = new FunctionTable()
  functions.learn('/t/a/b', '/b', 'old')
  functions.learn('/t/a/b', '/b', 'new')
  assert.equal(functions.keyOfTarget('/t/a/b'), 'new')
  functions.learn('/t/a/b', '/:any', 'wide')
  assert.deepEqual(
    ['/t/a/b', '/t/a/c'].map((path) => functions.keyOfTarget(path)),
    ['wide', 'wide'],
  )
})

test('what is learned is bounded in bytes, the app not called for longest goes', () => {
  const routes = new LearnedRoutes(8_000)
  const functions = new FunctionTable({ routes })
  for (const app of ['a', 'b']) functions.learn(`/t/${app}/x`, '/x', app)
  assert.equal(functions.keyOfTarget('/t/a/x'), 'a')
  for (let i = 0; i < 100; i++) {
    functions.keyOfTarget('/t/a/x')
    functions.learn(`/t/app${i}/x`, '/x', 'f')
    assert.ok(routes.bytes <= 8_000, `${routes.bytes}`)
  }
  assert.deepEqual([functions.keyOfTarget('/t/a/x'), functions.keyOfTarget('/t/b/x')], ['a', '/t/b/x'])
  for (let i = 0; i < 100; i++) functions.learn(`/t/a/${i}`, `/${i}`, 'f')
  assert.ok(routes.bytes <= 8_000, 'one app alone is bounded as well')
})

test('a number is never given to another function, also when its own has given it up', () => {
  const forgotten: number[] = []
  const functions = new FunctionTable({ maxBytes: 1_100, forget: (fn) => forgotten.push(fn) })
  assert.deepEqual(
    ['a', 'b', 'a', 'c', 'b'].map((key) => functions.intern(key)),
    [0, 1, 0, 2, 3],
  )
  assert.deepEqual(
    [0, 1, 2, 3].map((fn) => functions.key(fn)),
    ['', '', 'c', 'b'],
  )
  assert.deepEqual([functions.find('a'), functions.find('b')], [undefined, 3])
  assert.deepEqual(forgotten, [1, 0])
})
