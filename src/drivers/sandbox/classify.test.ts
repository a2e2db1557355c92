import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classify, type Verdict } from './classify.ts'
import type { Exit } from './launch.ts'

const of = (exit: Partial<Exit>, verdict: Partial<Verdict> = {}) => {
  const { startedAt, ...result } = classify(
    { exitCode: undefined, signal: null, complaint: '', ...exit },
    { reason: undefined, outOfMemory: false, startedAt: 7, ...verdict },
  )
  assert.equal(startedAt, 7)
  return result
}

test('exit code 0 is success, also when it was about to be stopped', () => {
  const success = { status: 'success', exitCode: 0, oom: false }
  assert.deepEqual(of({ exitCode: 0 }), success)
  assert.deepEqual(of({ exitCode: 0 }, { reason: 'timeout' }), success)
})

test('any other exit code is an error, 137 like the others', () => {
  for (const exitCode of [1, 127, 137, 143])
    assert.deepEqual(of({ exitCode }), {
      status: 'error',
      exitCode,
      error: `exit code ${exitCode}`,
      oom: false,
    })
})

test('the reason of a stop is the status, and the signal that it took is no exit code', () => {
  assert.deepEqual(of({ signal: 'SIGKILL' }, { reason: 'timeout' }), { status: 'timeout', oom: false })
  assert.deepEqual(of({ exitCode: 137 }, { reason: 'cancelled' }), { status: 'cancelled', oom: false })
  assert.deepEqual(of({ exitCode: 3 }, { reason: 'killed' }), { status: 'killed', exitCode: 3, oom: false })
})

test('what the kernel killed for memory ran out of memory, whatever its first process made of it', () => {
  const error = 'out of memory error'
  assert.deepEqual(of({ exitCode: 137 }, { outOfMemory: true }), {
    status: 'killed',
    error,
    oom: true,
  })
  assert.deepEqual(of({ exitCode: 0 }, { outOfMemory: true }), {
    status: 'killed',
    exitCode: 0,
    error,
    oom: true,
  })
  assert.deepEqual(of({ signal: 'SIGKILL' }, { outOfMemory: true }), { status: 'killed', error, oom: true })
})

test('what ran out of memory while it was stopped keeps the reason of the stop', () => {
  const { status, oom } = of({ signal: 'SIGKILL' }, { outOfMemory: true, reason: 'timeout' })
  assert.deepEqual([status, oom], ['timeout', true])
})

test('a signal from elsewhere means killed', () => {
  assert.deepEqual(of({ signal: 'SIGTERM' }), { status: 'killed', error: 'killed by SIGTERM', oom: false })
})

test('a program that could not be run ends as in a shell', () => {
  const missing = of({ complaint: 'execvp nosuch: No such file or directory' })
  assert.deepEqual([missing.exitCode, missing.error], [127, 'cannot run nosuch: No such file or directory'])
  const denied = of({ complaint: 'execvp /tmp: Permission denied' })
  assert.deepEqual([denied.exitCode, denied.error], [126, 'cannot run /tmp: Permission denied'])
})

test('a sandbox that broke down says how', () => {
  const { status, error } = of({ complaint: "Can't mount proc on /newroot/proc: Operation not permitted" })
  assert.deepEqual([status, error], ['error', "Can't mount proc on /newroot/proc: Operation not permitted"])
})
