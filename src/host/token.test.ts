import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokenCheck } from './token.ts'

test('only the whole token opens', () => {
  const allowed = tokenCheck('s3cret')
  assert.ok(allowed('Bearer s3cret'))
  for (const header of [
    undefined,
    '',
    's3cret',
    'Bearer',
    'Bearer s3cre',
    'Bearer s3cret ',
    'Basic s3cret',
  ]) {
    assert.ok(!allowed(header), String(header))
  }
})

test('without a token nobody is asked', () => {
  assert.ok(tokenCheck(undefined)(undefined))
})
