import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StopReason } from '../driver.ts'
import { classify } from './life.ts'

describe('how a container ended', () => {
  const end = (code: number | undefined, reason?: StopReason, oom = false) =>
    classify({ code, oom, error: '' }, { reason, oom: false, startedAt: 5 })

  test('0 is success, also when it was about to be stopped', () => {
    for (const reason of [undefined, 'timeout'] as const)
      assert.deepEqual(end(0, reason), { status: 'success', exitCode: 0, oom: false, startedAt: 5 })
  })

  test('another code is an error', () => {
    assert.deepEqual(end(7), { status: 'error', exitCode: 7, oom: false, error: 'exit code 7', startedAt: 5 })
  })

  test('137 alone is a code like others', () => {
    assert.equal(end(137).error, 'exit code 137')
    assert.equal(end(137).oom, false)
  })

  test('137 after a stop is that stop, without a code', () => {
    assert.deepEqual(end(137, 'timeout'), { status: 'timeout', oom: false, startedAt: 5 })
  })

  test('137 with the flag is out of memory', () => {
    assert.deepEqual(end(137, undefined, true), {
      status: 'killed',
      oom: true,
      error: 'out of memory error',
      startedAt: 5,
    })
  })

  test('the count of the kernel does for the flag', () => {
    const exit = { code: 137, oom: false, error: '' }
    assert.equal(classify(exit, { reason: undefined, oom: true, startedAt: 5 }).oom, true)
  })

  test('a child that was killed for memory is not the end of its parent', () => {
    assert.deepEqual([end(0, undefined, true).status, end(3, undefined, true).oom], ['success', false])
  })

  test('one that somebody removed was killed', () => {
    assert.equal(end(undefined).status, 'killed')
  })
})
