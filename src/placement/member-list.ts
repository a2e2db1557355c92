import type { Candidate, Decision, Member } from './placement.ts'

/** Sorted by name, so that every balancer has the same list whatever order it was given. */
export const sortMembers = (members: readonly Member[]): readonly Member[] =>
  [...members].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))

export const mayTake = (member: Member, tried: readonly number[]): boolean =>
  member.eligible && (tried.length === 0 || !tried.includes(member.node))

export function clear(out: Decision): void {
  out.node = -1
  out.home = -1
  out.count = 0
  out.reason = ''
}

/** The next free candidate of a decision, or `undefined` when all are taken. */
export function nextCandidate(out: Decision): Candidate | undefined {
  const candidate = out.candidates[out.count]
  if (candidate) out.count++
  return candidate
}
