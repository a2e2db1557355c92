import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkload, type RigOptions, SchedulerRig } from '../../../test/support/scheduler-rig.ts'
import type { Workload } from './workload.ts'

const MIB = 1024 * 1024

/** A node with so many functions of some kind, in a state that lasts. */
interface Scene {
  readonly rig: SchedulerRig
  /** The most steps that one event has taken since the last time. */
  readonly most: () => number
}

/** A rig that counts what each event costs: whatever it is told from outside, one thing at a time. */
function scene(options: RigOptions): Scene {
  const work = { steps: 0 }
  let most = 0
  const rig = new SchedulerRig({ ...options, work })
  const counted = new Set([
    'tryAcquire',
    'enqueue',
    'leave',
    'release',
    'ready',
    'failed',
    'ended',
    'lost',
    'paused',
    'woken',
    'predict',
  ])
  let depth = 0
  for (const name of counted) {
    const scheduler = rig.scheduler as unknown as Record<string, (...args: unknown[]) => unknown>
    const run = (scheduler[name] as (...args: unknown[]) => unknown).bind(rig.scheduler)
    scheduler[name] = (...args) => {
      const before = work.steps
      depth++
      try {
        return run(...args)
      } finally {
        if (--depth === 0) most = Math.max(most, work.steps - before)
      }
    }
  }
  return {
    rig,
    most() {
      const steps = most
      most = 0
      return steps
    },
  }
}

const fn = (i: number, over: Partial<Workload> = {}) =>
  makeWorkload({ key: `f${i}`, owner: `app ${i % 7}`, maxWait: 600_000, idleTimeout: 600_000, ...over })

/** 100 busy containers fill the node, and `count` other functions have a call each that waits. */
function waiting(count: number, over: (i: number) => Partial<Workload> = () => ({})) {
  const it = scene({ memory: 100 * 128, maxStarts: 4 })
  for (let i = 0; i < 100; i++) it.rig.call(fn(i), 1_000 + 37 * i)
  it.rig.clock.advance(5_000)
  for (let i = 0; i < 100; i++) it.rig.call(fn(i), 600 + 37 * i)
  for (let i = 0; i < count; i++) it.rig.call(fn(1_000 + i, over(i)), 50)
  return it
}

/** `count` functions have an idle container each, and the node is full. */
function idle(count: number, owner: (i: number) => string) {
  const it = scene({ memory: count * 128, maxStarts: 100 })
  for (let i = 0; i < count; i++) it.rig.call(fn(i, { owner: owner(i) }), 1 + (i % 50))
  it.rig.clock.advance(100 * Math.ceil(count / 100) + 200)
  return it
}

/** Calls of all kinds, callers who leave, containers that end: while everything else goes on. */
function busyHour({ rig, most }: Scene, ms: number): number {
  most()
  for (let i = 0; i < 60; i++) {
    rig.call(fn(i), 20)
    const gone = rig.call(fn(5_000 + (i % 9), { owner: `new ${i % 3}` }), 20)
    rig.scheduler.predict(fn(i))
    rig.clock.advance(ms)
    if (i % 3 === 0) rig.leave(gone)
    const [instance] = rig.live
    if (instance && i % 10 === 0) rig.crash(instance)
  }
  return most()
}

const SCENES: Readonly<Record<string, (count: number) => Scene>> = {
  'functions that wait': (count) => waiting(count),
  'functions that wait, each of an app of its own': (count) => waiting(count, (i) => ({ owner: `own ${i}` })),
  'functions that wait, each of its own size': (count) =>
    waiting(count, (i) => ({ need: { memory: 64 * MIB + i, mcpus: i % 3 } })),
  'functions that wait to be kept warm': (count) => waiting(count, () => ({ minWarm: 1 })),
  'functions with an idle container': (count) => idle(count, (i) => `app ${i % 7}`),
  'apps with an idle container': (count) => idle(count, (i) => `own ${i}`),
}

for (const [what, make] of Object.entries(SCENES))
  test(`work is counted: what one event costs hardly grows with the ${what}`, () => {
    const few = busyHour(make(100), 30)
    const many = busyHour(make(1_600), 30)
    assert.ok(few <= 600, `${few} steps with 100`)
    assert.ok(many <= few + 40 * Math.log2(1_600 / 100), `${many} steps with 1,600, ${few} with 100`)
  })
