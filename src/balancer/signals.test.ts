import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitReply } from './heads.ts'
import { readSignals } from './signals.ts'

const signals = (...raw: string[]) => readSignals(splitReply(raw, true, false))

test('the three clocks win over the total, and the total over its old name', () => {
  const clocks = ['Fn-Wait', 'queue=1ms,start=2ms,fetch=3ms']
  assert.deepEqual(signals('FXLB-WAIT', '9s', ...clocks).wait, { queue: 1, start: 2, fetch: 3 })
  assert.deepEqual(signals('XXX-FXLB-WAIT', '9s', 'FXLB-WAIT', '1s').wait, {
    queue: 1000,
    start: 0,
    fetch: 0,
  })
  assert.deepEqual(signals('FXLB-WAIT', '1s', 'XXX-FXLB-WAIT', '9s').wait, {
    queue: 1000,
    start: 0,
    fetch: 0,
  })
})

test('clocks that do not parse leave the total', () => {
  assert.equal(signals('Fn-Wait', 'queue=?', 'FXLB-WAIT', '850.12\u00b5s').wait?.queue, 0.85012)
})

test('a wait that is negative, endless or nonsense was not said', () => {
  for (const wait of ['-1s', '2540400h', '361s', 'soon', '', '1', 'NaN', 'queue=1s'])
    assert.equal(signals('FXLB-WAIT', wait).wait, undefined, wait)
})

test('reject and origin are words of the list or nothing', () => {
  assert.deepEqual(
    ['busy', 'draining', 'no-image', 'quota', 'BUSY', 'tired', ''].map(
      (word) => signals('Fn-Reject', word).reject,
    ),
    ['busy', 'draining', 'no-image', 'quota', undefined, undefined, undefined],
  )
  assert.deepEqual(
    ['platform', 'x'].map((word) => signals('Fn-Origin', word).origin),
    ['platform', undefined],
  )
})

test('the function is the id before the source, which is percent-encoded', () => {
  const functionOf = (text: string) => signals('Fn-Function', text).function
  assert.deepEqual(functionOf('01FN /orders/new'), { id: '01FN', source: '/orders/new' })
  assert.deepEqual(functionOf('01FN /caf%C3%A9/%2525'), { id: '01FN', source: '/café/%25' })
  assert.deepEqual(functionOf('01FN'), { id: '01FN', source: undefined })
  assert.deepEqual(functionOf('01FN /%zz'), { id: '01FN', source: undefined })
  for (const text of ['', ' /x', 'a,b /x', 'x'.repeat(65), '01FN x', `01FN /${'x'.repeat(5_000)}`])
    assert.equal(functionOf(text), undefined, text)
})

test('whatever a node sends is read without a fault', () => {
  const name = fc.constantFrom(
    'FXLB-WAIT',
    'XXX-FXLB-WAIT',
    'Fn-Wait',
    'Fn-Load',
    'Fn-Function',
    'Fn-Reject',
    'Fn-Origin',
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string({ unit: 'binary' })), { maxLength: 8 }), (fields) => {
      const { wait, load } = signals(...fields.flat())
      if (wait) assert.ok(wait.queue + wait.start + wait.fetch <= 360_000)
      if (load) assert.ok(load.seq >= 0)
    }),
  )
})
