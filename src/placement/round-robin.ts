import { clear, mayTake, nextCandidate, sortMembers } from './member-list.ts'
import type { Member, PlacementFactory } from './placement.ts'

/** Each call to the next node, whatever it calls. Starts at a random one, so that balancers do not march in step. */
export const roundRobin: PlacementFactory = (_keys, random) => {
  let members: readonly Member[] = []
  let turn = -1

  return {
    name: 'round-robin',
    termNames: [],
    functions: 0,
    pick(_fn, _now, tried, out) {
      clear(out)
      if (turn < 0) turn = Math.floor(random() * members.length)
      for (let i = 0; i < members.length; i++) {
        const member = members[(turn + i) % members.length] as Member
        if (!mayTake(member, tried)) continue
        turn = (turn + i + 1) % members.length
        const candidate = nextCandidate(out)
        if (candidate) {
          candidate.node = member.node
          candidate.cost = 0
          candidate.terms.fill(Number.NaN)
        }
        out.node = member.node
        out.reason = tried.length > 0 ? 'retry' : 'turn'
        return
      }
    },
    sent() {},
    done() {},
    nack() {},
    report() {},
    digest() {},
    evicted() {},
    forget() {},
    member(next) {
      members = sortMembers(next)
    },
  }
}
