import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPromises, type Phases } from './promises.ts'

const phase = (a: number, b: number, failed = 0) => ({ calls: a + b, failed, nodes: { a, b } })
const good: Phases = {
  calm: phase(200, 0),
  busy: phase(500, 220),
  back: phase(90, 110),
  after: phase(190, 10),
}
const unmet = (text: RegExp) => ({ code: 'unmet', message: text })

test('what is as promised leaves nothing to say', () => {
  assert.deepEqual(checkPromises(good, false), [])
  assert.deepEqual(checkPromises(good, true), [])
})

test('each promise that is broken is named', () => {
  for (const [phases, text] of [
    [{ ...good, back: phase(199, 1, 1) }, /no call fails/],
    [{ ...good, after: phase(199, 1, 1) }, /no call fails/],
    [{ ...good, calm: phase(180, 20) }, /95 % of the calls land on one node/],
    [{ ...good, busy: phase(700, 20) }, /at least two nodes/],
    [{ ...good, after: phase(154, 46) }, /80 % of the calls are back/],
  ] as const)
    assert.throws(() => checkPromises(phases, false), unmet(text))
})

test('on a busy machine failures and spread are judged, and what is not judged is told', () => {
  assert.throws(() => checkPromises({ ...good, after: phase(199, 1, 1) }, true), unmet(/no call fails/))
  assert.throws(() => checkPromises({ ...good, busy: phase(700, 20) }, true), unmet(/at least two nodes/))
  assert.deepEqual(checkPromises({ ...good, calm: phase(180, 20), after: phase(154, 46) }, true), [
    'while calm, 95 % of the calls land on one node',
    'afterwards, 80 % of the calls are back on the home node',
  ])
})
