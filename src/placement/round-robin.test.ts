import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placementContract } from './placement.contract.ts'
import { makeDecision } from './placement.ts'
import { roundRobin } from './round-robin.ts'

placementContract('round-robin', roundRobin)

const members = ['a', 'b', 'c'].map((name, node) => ({ node, name, eligible: true }))

function turns(start: number, count: number): number[] {
  const placement = roundRobin(String, () => start)
  placement.member(members, 0)
  const out = makeDecision()
  return Array.from({ length: count }, () => {
    placement.pick(0, 0, [], out)
    return out.node
  })
}

test('goes round all nodes', () => {
  assert.deepEqual(turns(0, 7), [0, 1, 2, 0, 1, 2, 0])
})

test('starts where chance says', () => {
  assert.deepEqual(turns(0.99, 3), [2, 0, 1])
})
