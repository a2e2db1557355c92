import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Account } from './account.ts'
import { Budget } from './budget.ts'
import type { Pool } from './pool.ts'
import { type Ranked, Ranks } from './ranks.ts'
import type { Workload } from './workload.ts'

type P = Pool<Workload, number>

const change = fc.record({
  kind: fc.constantFrom('want', 'want', 'want', 'sated', 'take', 'give'),
  which: fc.nat(11),
  failing: fc.boolean(),
  own: fc.constantFrom(0, 0.125, 0.25),
  since: fc.nat(3),
})

test('the order is that of sorting all by the rule: start well, app holds least, holds least, waits longest', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
      const work = { steps: 0 }
      const budget = new Budget({ memory: 100, mcpus: 0 })
      const accounts = ['a', 'b', 'c', 'd'].map((owner) => new Account<P>(owner, work))
      const pools = Array.from({ length: 12 }, (_, i) => ({ account: accounts[i % 4] }) as unknown as P)
      const ranks = new Ranks<Workload, number>(work)
      const wants = new Map<P, Ranked<Workload, number>>()
      const held = accounts.map(() => 0)
      for (const [turn, { kind, which, failing, own, since }] of changes.entries()) {
        const pool = pools[which] as P
        const known = wants.get(pool)
        if (kind === 'want' || kind === 'sated') {
          if (known) ranks.remove(known)
          wants.delete(pool)
          if (kind === 'want') wants.set(pool, ranks.add({ pool, failing, own, since, turn }))
        } else {
          const sign = kind === 'take' ? 1 : -1
          const now = (held[which % 4] ?? 0) + sign
          if (now < 0) continue
          held[which % 4] = now
          pool.account.hold({ memory: 10, mcpus: 0 }, sign, budget)
          ranks.rerank(pool.account)
        }
        const sorted = [...wants.values()]
          .map(({ rank }) => rank)
          .sort(
            (a, b) =>
              Number(a.failing) - Number(b.failing) ||
              a.pool.account.share - b.pool.account.share ||
              a.own - b.own ||
              a.since - b.since ||
              a.turn - b.turn,
          )
        assert.deepEqual(
          Array.from(ranks.inOrder(), (other) => pools.indexOf(other)),
          sorted.map((rank) => pools.indexOf(rank.pool)),
        )
        assert.equal(ranks.isEmpty, sorted.length === 0)
      }
    }),
  )
})
