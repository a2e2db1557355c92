import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeWorkload, SchedulerRig } from '../../../test/support/scheduler-rig.ts'
import { Instance } from './instance.ts'
import { follows, INSTANCE_EVENTS, INSTANCE_STATES, type InstanceState } from './instance-state.ts'

const birth = { began: 0, fetched: 0, ready: 0 }

/** A container in a state, by the shortest way there. */
function instanceIn(state: InstanceState): Instance<number> {
  const ways = new Map<InstanceState, Instance<number>>([['awake', new Instance(0, birth)]])
  for (let i = 0; i < INSTANCE_STATES.length; i++)
    for (const from of [...ways.keys()])
      for (const event of INSTANCE_EVENTS) {
        const next = follows(from, event)
        if (!next || ways.has(next)) continue
        const instance = new Instance(0, birth)
        // The way to `from` again, then one step more.
        for (const step of wayTo(from)) instance.undergo(step)
        instance.undergo(event)
        ways.set(next, instance)
      }
  return ways.get(state) ?? assert.fail(`nothing leads to ${state}`)
}

function wayTo(state: InstanceState): (typeof INSTANCE_EVENTS)[number][] {
  if (state === 'awake') return []
  for (const from of INSTANCE_STATES)
    for (const event of INSTANCE_EVENTS)
      if (from !== state && from !== 'ended' && follows(from, event) === state && from !== 'waking')
        return [...wayTo(from), event]
  return assert.fail(`nothing leads to ${state}`)
}

test('every state of a container is reached, and what its table does not name throws', () => {
  for (const state of INSTANCE_STATES)
    for (const event of INSTANCE_EVENTS) {
      const instance = instanceIn(state)
      assert.equal(instance.state, state)
      const next = follows(state, event)
      if (next === undefined)
        assert.throws(() => instance.undergo(event), {
          message: `${event} cannot happen to a container that is ${state}`,
        })
      else assert.equal(instance.undergo(event), next !== state)
      assert.equal(instance.state, next ?? state)
    }
})

test('nothing leads out of an ended container', () => {
  for (const event of INSTANCE_EVENTS) assert.equal(follows('ended', event), undefined)
})

test('whatever happens, nothing happens to a container that cannot', () => {
  const step = fc.record({
    kind: fc.constantFrom('call', 'call', 'wait', 'wait', 'crash', 'end', 'deploy'),
    which: fc.nat(3),
    ms: fc.constantFrom(1, 31, 300, 700, 6_000),
  })
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(30, -30, 400), (steps, wakeMs) => {
      const rig = new SchedulerRig({ memory: 3 * 128, wakeMs, pause: 500, stopMs: 50, pauseMs: 400 })
      const versions = [0, 0, 0, 0]
      const fn = (i: number) =>
        makeWorkload({ key: `f${i}`, version: String(versions[i]), idleTimeout: 5_000, minWarm: i % 2 })
      for (const { kind, which, ms } of steps) {
        const instance = [...rig.live][which]
        if (kind === 'call') rig.call(fn(which), ms)
        else if (kind === 'wait') rig.clock.advance(ms)
        else if (kind === 'deploy') versions[which] = (versions[which] ?? 0) + 1
        else if (instance && kind === 'crash') rig.crash(instance)
        else if (instance) rig.end(instance)
        for (const { state } of rig.live) seen.add(state)
      }
      rig.clock.advance(60_000)
    }),
    { numRuns: 500 },
  )
  assert.deepEqual([...seen].sort(), ['awake', 'ending', 'paused', 'pausing', 'waking'])
})
