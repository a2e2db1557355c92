import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../core/random.ts'
import {
  type Decision,
  type Member,
  makeDecision,
  type Placement,
  type PlacementFactory,
} from './placement.ts'

const keys = (fn: number): string => `fn-${fn}`
const load = { run: 1, queue: 2, cap: 4, idle: 0, boot: 'b', seq: 1 }

/** Up to twelve members with names in no order, some of which may not be chosen. */
const members = fc
  .uniqueArray(fc.record({ name: fc.integer({ min: 0, max: 999 }), eligible: fc.boolean() }), {
    selector: (member) => member.name,
    maxLength: 12,
  })
  .map((all) =>
    all.map(({ name, eligible }, node): Member => ({ node, name: `10.0.0.${name}:80`, eligible })),
  )

const events = fc.array(
  fc.record({
    kind: fc.constantFrom('call', 'lost', 'nack', 'digest', 'evicted'),
    fn: fc.integer({ min: 0, max: 3 }),
    node: fc.integer({ min: 0, max: 15 }),
    wait: fc.oneof(fc.constant(undefined), fc.double({ min: 0, max: 10_000, noNaN: true })),
  }),
  { maxLength: 60 },
)
const seed = fc.integer()
const tried = fc.uniqueArray(fc.integer({ min: 0, max: 15 }), { maxLength: 6 })

/** What every strategy promises, whatever has happened to it before. */
export function placementContract(name: string, factory: PlacementFactory): void {
  describe(`placement: ${name}`, () => {
    test('chooses a member that may be chosen and was not tried, whenever there is one', () => {
      fc.assert(
        fc.property(members, events, tried, seed, (all, past, tried, seed) => {
          const placement = made(factory, all, seed)
          live(placement, past)
          const open = all.filter((member) => member.eligible && !tried.includes(member.node))
          for (let i = 0; i < 5; i++) {
            const out = pick(placement, i % 4, tried)
            if (open.length === 0) assert.equal(out.node, -1)
            else assert.ok(open.some((member) => member.node === out.node))
          }
        }),
      )
    })

    test('names only members as home and as candidates', () => {
      fc.assert(
        fc.property(members, events, tried, seed, (all, past, tried, seed) => {
          const placement = made(factory, all, seed)
          live(placement, past)
          const out = pick(placement, 0, tried)
          const known = new Set(all.map((member) => member.node))
          assert.ok(out.home === -1 || known.has(out.home))
          assert.ok(out.count <= out.candidates.length)
          for (const candidate of out.candidates.slice(0, out.count)) assert.ok(known.has(candidate.node))
          assert.ok(placement.termNames.length <= (out.candidates[0]?.terms.length ?? 0))
        }),
      )
    })

    test('has the same home for a function whatever the order of the members', () => {
      fc.assert(
        fc.property(members, seed, (all, seed) => {
          const here = made(factory, all, seed)
          const there = made(factory, [...all].reverse(), seed + 1)
          for (let fn = 0; fn < 8; fn++) assert.equal(pick(here, fn).home, pick(there, fn).home)
        }),
      )
    })

    test('never chooses a member that left', () => {
      fc.assert(
        fc.property(members, events, seed, (all, past, seed) => {
          const placement = made(factory, all, seed)
          live(placement, past)
          const stay = all.filter((_, index) => index % 2 === 0)
          placement.member(stay, 2)
          const out = pick(placement, 0)
          assert.ok(out.node === -1 || stay.some((member) => member.node === out.node))
        }),
      )
    })

    test('forgets a member that left: it comes back as if new', () => {
      fc.assert(
        fc.property(members, events, seed, (all, past, seed) => {
          const used = made(factory, all, seed)
          live(used, past)
          used.member([], 2)
          used.member(all, 3)
          const fresh = made(factory, all, seed)
          assert.deepEqual(costs(pick(used, 1)), costs(pick(fresh, 1)))
        }),
      )
    })

    test('keeps nothing of functions that were given up, whatever is still said of them', () => {
      fc.assert(
        fc.property(members, events, events, seed, (all, past, late, seed) => {
          let given = true
          const placement = factory((fn) => (given ? keys(fn) : ''), seededRandom(seed))
          placement.member(all, 0)
          live(placement, past)
          for (let fn = 0; fn < 4; fn++) pick(placement, fn)
          given = false
          for (let fn = 0; fn < 4; fn++) placement.forget(fn)
          live(placement, late)
          pick(placement, 1)
          assert.equal(placement.functions, 0)
        }),
      )
    })

    test('overwrites the whole decision', () => {
      const placement = made(factory, [{ node: 3, name: 'a:1', eligible: true }], 1)
      const out = makeDecision()
      placement.pick(0, 0, [], out)
      placement.member([], 1)
      placement.pick(0, 1, [], out)
      assert.deepEqual({ ...out, candidates: [] }, { ...makeDecision(), candidates: [] })
    })

    test('decides the same again with the same events and the same chance', () => {
      fc.assert(
        fc.property(members, events, seed, (all, past, seed) => {
          const runs = [made(factory, all, seed), made(factory, all, seed)].map((placement) => {
            live(placement, past)
            return Array.from({ length: 10 }, (_, i) => pick(placement, i % 4).node)
          })
          assert.deepEqual(runs[0], runs[1])
        }),
      )
    })
  })
}

function made(factory: PlacementFactory, all: readonly Member[], seed: number): Placement {
  const placement = factory(keys, seededRandom(seed))
  placement.member(all, 0)
  return placement
}

function pick(placement: Placement, fn: number, tried: readonly number[] = []): Decision {
  const out = makeDecision()
  placement.pick(fn, 1, tried, out)
  return out
}

const costs = (out: Decision) => ({
  home: out.home,
  candidates: out.candidates.slice(0, out.count).map(({ cost, terms }) => ({ cost, terms: [...terms] })),
})

type Event = { kind: string; fn: number; node: number; wait: number | undefined }

/** Events of the past, also about nodes that are no members. */
function live(placement: Placement, past: readonly Event[]): void {
  let now = 0
  for (const { kind, fn, node, wait } of past) {
    now += 10
    if (kind === 'evicted') placement.evicted(fn, node, now)
    else if (kind === 'digest') placement.digest(node, { ...load, idle: new Map([[fn, 1]]) }, now)
    else {
      placement.sent(fn, node, now)
      if (kind === 'nack') placement.nack(fn, node, load, now)
      else if (kind === 'lost') placement.done(fn, node, { kind: 'lost', totalMs: 1 }, now)
      else {
        placement.report(
          fn,
          node,
          wait === undefined ? undefined : { queue: wait, start: 0, fetch: 0 },
          load,
          now,
        )
        placement.done(fn, node, { kind: 'ok', totalMs: 5 }, now)
      }
    }
  }
}
