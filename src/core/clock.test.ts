import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limit, sleep, virtualClock } from './clock.ts'

test('a virtual clock fires timers in the order of their time', () => {
  const clock = virtualClock()
  const fired: string[] = []
  clock.after(20, () => fired.push(`late ${clock.now()}`))
  clock.after(10, () => {
    fired.push(`early ${clock.now()}`)
    clock.after(5, () => fired.push(`nested ${clock.now()}`))
  })
  clock.after(15, () => fired.push('cancelled'))[Symbol.dispose]()
  clock.advance(30)
  assert.deepEqual(fired, ['early 10', 'nested 15', 'late 20'])
})

test('a sleep ends with its signal', async () => {
  const stop = new AbortController()
  const sleeping = sleep(virtualClock(), 1_000, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(sleeping, /enough/)
})

test('a limit aborts after its time, or with its parent', () => {
  const clock = virtualClock()
  const own = limit(clock, 10)
  clock.advance(10)
  assert.equal(own.signal.reason.name, 'TimeoutError')

  const parent = new AbortController()
  using child = limit(clock, 10, parent.signal)
  parent.abort(new Error('parent'))
  assert.match(String(child.signal.reason), /parent/)
})
