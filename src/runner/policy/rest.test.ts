import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backOff } from './backoff.ts'
import { pauseAfter, worth } from './rest.ts'

test('a container is paused after four times its usual gap, at least a second, five while no gap is known', () => {
  assert.deepEqual(
    [10, 250, 2_000, undefined].map((gap) => pauseAfter('adaptive', gap)),
    [1_000, 1_000, 8_000, 5_000],
  )
  assert.equal(pauseAfter('never', 10), Infinity)
  assert.equal(pauseAfter(50, 10_000), 50)
})

test('a container is worth more the sooner it is needed, the dearer its start and the smaller it is', () => {
  const usual = worth(1_000, 2_000, 300, 0.1)
  assert.ok(worth(1_000, 1_000, 300, 0.1) > usual)
  assert.ok(worth(1_000, 2_000, 600, 0.1) > usual)
  assert.ok(worth(1_000, 2_000, 300, 0.05) > usual)
  assert.ok(worth(9_000, 2_000, 300, 0.1) < usual, 'silent for longer than usual')
  assert.equal(worth(500, 2_000, 300, 0.1), usual, 'within its usual gap')
})

test('starts that fail are tried again at once, then after 250 ms, doubling up to 30 s', () => {
  assert.deepEqual([1, 2, 3, 4, 20].map(backOff), [0, 250, 500, 1_000, 30_000])
})
