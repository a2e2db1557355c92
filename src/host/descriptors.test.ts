import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '../core/clock.ts'
import { descriptors, systemDescriptors } from './descriptors.ts'

const LIMITS =
  'Limit   Soft Limit  Hard Limit  Units\nMax open files            1000                 1000                 files\n'

test('at three quarters of the limit nothing new begins', () => {
  const clock = virtualClock()
  let open = 700
  const { limit, short } = descriptors({ clock, limits: () => LIMITS, open: () => open })
  assert.equal(limit, 1000)
  assert.equal(short(), false)
  open = 751
  assert.equal(short(), false, 'counted a moment ago')
  clock.advance(50)
  assert.equal(short(), true)
  open = 10
  clock.advance(50)
  assert.equal(short(), false)
})

test('many questions in one moment are answered by what each may open, and counted again soon', () => {
  let counts = 0
  const open = () => {
    counts++
    return 740
  }
  const { short } = descriptors({ clock: virtualClock(), limits: () => LIMITS, open })
  const answers = Array.from({ length: 32 }, short)
  assert.ok(answers.includes(true))
  assert.ok(counts <= 4, `${counts} counts`)
})

test('where nothing tells there is no limit', () => {
  const nothing = () => {
    throw new Error('no /proc')
  }
  assert.equal(descriptors({ clock: virtualClock(), limits: nothing, open: nothing }).short(), false)
})

test('this process has a limit and is not short', {
  skip: process.platform !== 'linux' && 'no /proc here',
}, () => {
  const { limit, short } = systemDescriptors
  assert.ok(limit > 100)
  assert.equal(short(), false)
})
