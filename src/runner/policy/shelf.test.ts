import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { slopeOf, worth, worthOf } from './rest.ts'
import { Shelf, type Shelved, type Spare } from './shelf.ts'

const spare: fc.Arbitrary<Spare<number>> = fc.record({
  pool: fc.nat(9),
  need: fc.record({ memory: fc.constantFrom(0, 64, 256), mcpus: fc.constantFrom(0, 500) }),
  count: fc.constant(1),
  silent: fc.constant(0),
  idleSince: fc.nat(60_000),
  gap: fc.constantFrom(0, 10, 250, 9_000, 50_000),
  slope: fc
    .tuple(fc.constantFrom(1, 30, 300, 700, 5_000, 60_000), fc.constantFrom(0.001, 0.01, 0.125, 0.13, 0.7))
    .map(([start, share]) => slopeOf(start, share)),
})

const history = fc.array(fc.record({ spare, gone: fc.option(fc.nat(), { freq: 3 }) }), { maxLength: 40 })
const short = fc.constantFrom('memory' as const, 'mcpus' as const)

test('what a shelf names is worth no more than a fifth above the least worth of all, whenever it is asked', () => {
  fc.assert(
    fc.property(history, short, fc.option(fc.nat(9), { nil: undefined }), (changes, what, except) => {
      const shelf = new Shelf<number>({ steps: 0 })
      let all: { readonly spare: Spare<number>; readonly shelved: Shelved<number> }[] = []
      for (const { spare: next, gone } of changes) {
        const out = gone === null ? undefined : all[gone % Math.max(1, all.length)]
        if (out) {
          shelf.remove(out.spare, out.shelved)
          all = all.filter((other) => other !== out)
        }
        // A function is on a shelf once.
        if (all.some(({ spare: { pool } }) => pool === next.pool)) continue
        all.push({ spare: next, shelved: shelf.put(next) })
        for (const now of [60_000, 61_000, 90_000, 600_000]) {
          const useful = all
            .map((entry) => entry.spare)
            .filter(({ pool, need }) => pool !== except && need[what] > 0)
          const found = shelf.least(what, now, except)
          const least = Math.min(...useful.map((entry) => worthOf(entry, now)))
          assert.equal(found === undefined, useful.length === 0)
          if (!found) continue
          assert.ok(useful.includes(found))
          assert.ok(worthOf(found, now) <= least * 2 ** 0.25 * 1.000001)
        }
      }
    }),
  )
})

test('what is kept for a shelf is what a container is worth', () => {
  const kept = { idleSince: 1_000, gap: 2_000, slope: slopeOf(300, 0.1) }
  assert.equal(worthOf(kept, 9_000), worth(8_000, 2_000, 300, 0.1))
  assert.equal(worthOf(kept, 1_500), worth(500, 2_000, 300, 0.1))
})
