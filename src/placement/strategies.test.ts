import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STRATEGIES, strategyOf } from './strategies.ts'

test('every strategy calls itself by the name it is asked for', () => {
  for (const [name, factory] of Object.entries(STRATEGIES)) assert.equal(factory(String, () => 0).name, name)
})

test('an unknown strategy is refused with the names there are', () => {
  for (const name of ['best', 'toString', ''])
    assert.throws(() => strategyOf(name), { code: 'invalid', detail: /fnlb, round-robin/ })
})
