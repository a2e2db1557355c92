import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Account } from './account.ts'
import { Budget, NOTHING, plus, times } from './budget.ts'
import type { Pool } from './pool.ts'
import { worth } from './rest.ts'
import { Spares } from './spares.ts'
import type { Workload } from './workload.ts'

type P = Pool<Workload, number>

const TOTAL = { memory: 6_400, mcpus: 8_000 }
const NOW = 100_000

/** What a function has on the node: how many containers, how many of them idle and how many of those silent. */
const tenant = fc.record({
  owner: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  need: fc.record({ memory: fc.constantFrom(0, 64, 128), mcpus: fc.constantFrom(0, 100) }),
  busy: fc.nat(2),
  idle: fc.nat(2),
  silent: fc.nat(1),
  idleSince: fc.integer({ min: 80_000, max: 99_000 }),
  gap: fc.option(fc.constantFrom(10, 400, 3_000), { nil: undefined }),
  start: fc.constantFrom(30, 300, 900),
})

const scene = fc.record({
  tenants: fc.array(tenant, { minLength: 2, maxLength: 12 }),
  short: fc.constantFrom('memory' as const, 'mcpus' as const),
  impatient: fc.boolean(),
})

/** As much of a pool as is asked. */
function makePool(it: typeof tenant extends fc.Arbitrary<infer T> ? T : never, account: Account<P>): P {
  const { need, idle, idleSince } = it
  const silent = Math.min(it.silent, idle)
  return {
    workload: { need },
    account,
    past: { gap: { value: it.gap }, start: { value: it.start } },
    fleet: { spare: idle, instances: { silent, longestIdle: idle > 0 ? { idleSince } : undefined } },
  } as unknown as P
}

test('who may have what is as the rule says when it goes through all functions, and the least worth goes first', () => {
  fc.assert(
    fc.property(scene, ({ tenants, short, impatient }) => {
      const work = { steps: 0 }
      const budget = new Budget(TOTAL)
      const accounts = new Map<string, Account<P>>()
      const spares = new Spares<Workload, number>(budget, () => 500, work)
      const all = tenants.map((it) => {
        const account = accounts.get(it.owner) ?? new Account<P>(it.owner, work)
        accounts.set(it.owner, account)
        return { it, pool: makePool(it, account) }
      })
      for (const { pool } of all) spares.update(pool)
      for (const { it, pool } of all)
        for (let i = 0; i < it.busy + it.idle; i++) {
          pool.account.hold(it.need, 1, budget)
          spares.rerank(pool.account)
        }

      const [first] = all
      assert.ok(first)
      const { account, workload } = first.pool
      const enough = account.share + budget.share(workload.need)
      const mayHaveAll = (other: P) =>
        impatient || account.share === 0 || other.account === account || other.account.share >= enough
      const useful = all
        .filter(({ it, pool }) => pool !== first.pool && it.need[short] > 0)
        .map(({ it, pool }) => {
          const count = mayHaveAll(pool) ? it.idle : Math.min(it.silent, it.idle)
          const value = worth(NOW - it.idleSince, it.gap, it.start, budget.share(it.need))
          return { pool, count, need: it.need, value }
        })
        .filter(({ count }) => count > 0)

      const reach = spares.reach(first.pool, short, impatient)
      const sum = useful.reduce((some, { need, count }) => plus(some, times(need, count)), NOTHING)
      assert.deepEqual(spares.within(reach), sum)
      const least = spares.least(reach, NOW)
      assert.equal(least === undefined, useful.length === 0)
      const found = useful.find(({ pool }) => pool === least)
      if (!least) return
      assert.ok(found, 'it is one that may be had')
      assert.ok(found.value <= Math.min(...useful.map(({ value }) => value)) * 2 ** 0.25 * 1.000001)
    }),
    { numRuns: 2_000 },
  )
})
