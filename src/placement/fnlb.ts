import { totalWait } from '../core/headers.ts'
import type { Random } from '../core/random.ts'
import { type WaitTable, waitTable } from './ewma.ts'
import { type Hash64, hashText, jumpHash } from './hash.ts'
import { clear, mayTake, nextCandidate, sortMembers } from './member-list.ts'
import type { Decision, FunctionKeys, Member, Placement, PlacementFactory } from './placement.ts'

/** Waits below this are fine (ns). */
const SHORT = 500e6
/** Waits above this get the least (ns). */
const LONG = 2_000e6
/** Visits before a walk gives up on luck: at 10 % a visit, all fail once in 800 walks. */
const MIN_VISITS = 64
const MAX_ROUNDS = 4

/**
 * The balancer of 2017 with its hash and its blind spots repaired. A function has a home, a place in the list of
 * nodes sorted by name. A call goes there unless the function waits long there; then it walks on to the next node,
 * and the next, until one takes it. A member that is down keeps its place, so that the others keep their homes.
 */
export const fnlb: PlacementFactory = (keys, random) => new Fnlb(keys, random)

class Fnlb implements Placement {
  readonly name = 'fnlb'
  readonly termNames: readonly string[] = ['wait', 'accept', 'inflight']
  readonly #keys: FunctionKeys
  readonly #random: Random
  readonly #homes: HomeCache
  readonly #waits: WaitTable = waitTable()
  readonly #inflight = new Map<number, number>()
  #members: readonly Member[] = []

  constructor(keys: FunctionKeys, random: Random) {
    this.#keys = keys
    this.#random = random
    this.#homes = new HomeCache(keys)
  }

  get functions(): number {
    return Math.max(this.#homes.size, this.#waits.functions)
  }

  pick(fn: number, _now: number, tried: readonly number[], out: Decision): void {
    clear(out)
    const members = this.#members
    if (members.length === 0) return
    const home = this.#homes.of(fn, members.length)
    out.home = this.#at(home).node
    const chosen = this.#walk(fn, home, tried, out) ?? this.#leastLoaded(home, tried)
    if (!chosen) return
    out.node = chosen.node
    if (out.reason === '') out.reason = 'full'
    else if (tried.length > 0) out.reason = 'retry'
    else if (chosen.node === out.home) out.reason = 'home'
  }

  /** From home upward, wrapping, until a node takes the call. Bounded. */
  #walk(fn: number, home: number, tried: readonly number[], out: Decision): Member | undefined {
    const count = this.#members.length
    const visits = Math.max(MIN_VISITS, MAX_ROUNDS * count)
    for (let i = 0; i < visits; i++) {
      const member = this.#at((home + i) % count)
      if (!mayTake(member, tried)) {
        if (i >= count && out.count === 0) return undefined
        continue
      }
      const wait = this.#waits.get(member.node, fn)
      const accept = acceptance(wait)
      if (i < count) this.#explain(member.node, wait, accept, out)
      if (accept === 100 || Math.floor(this.#random() * 100) < accept) {
        out.reason = 'spill'
        return member
      }
    }
    return undefined
  }

  /** Fewest own calls outstanding; among equals the nearest after home. */
  #leastLoaded(home: number, tried: readonly number[]): Member | undefined {
    let best: Member | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#members.length; i++) {
      const member = this.#at((home + i) % this.#members.length)
      const inflight = this.#inflight.get(member.node) ?? 0
      if (inflight >= least || !mayTake(member, tried)) continue
      best = member
      least = inflight
    }
    return best
  }

  #explain(node: number, wait: number, accept: number, out: Decision): void {
    const candidate = nextCandidate(out)
    if (!candidate) return
    candidate.node = node
    candidate.cost = wait / 1e6
    candidate.terms[0] = wait / 1e6
    candidate.terms[1] = accept
    candidate.terms[2] = this.#inflight.get(node) ?? 0
    candidate.terms[3] = Number.NaN
  }

  sent(_fn: number, node: number): void {
    const inflight = this.#inflight.get(node)
    if (inflight !== undefined) this.#inflight.set(node, inflight + 1)
  }

  done(_fn: number, node: number): void {
    const inflight = this.#inflight.get(node)
    if (inflight) this.#inflight.set(node, inflight - 1)
  }

  nack(fn: number, node: number): void {
    this.done(fn, node)
  }

  /** A reply that says nothing of its wait teaches nothing: counted as zero it would draw all traffic to a failing node. */
  report(fn: number, node: number, wait: Parameters<Placement['report']>[2]): void {
    if (wait && this.#keys(fn) !== '') this.#waits.record(node, fn, totalWait(wait))
  }

  digest(): void {}

  evicted(): void {}

  forget(fn: number): void {
    this.#homes.forget(fn)
    this.#waits.forget(fn)
  }

  member(members: readonly Member[]): void {
    this.#members = sortMembers(members)
    const nodes = new Set(members.map((member) => member.node))
    this.#waits.retain(nodes)
    for (const node of this.#inflight.keys()) if (!nodes.has(node)) this.#inflight.delete(node)
    for (const node of nodes) if (!this.#inflight.has(node)) this.#inflight.set(node, 0)
  }

  #at(index: number): Member {
    return this.#members[index] as Member
  }
}

/** Chance in whole per cent that a node takes a call of a function that waits `wait` ns there. */
export function acceptance(wait: number): number {
  if (wait < SHORT) return 100
  if (wait > LONG) return 10
  return Math.trunc(40 - (30 * (wait - SHORT)) / (LONG - SHORT))
}

/** Remembers each function's hash, and its home while the number of members stays the same; until it is forgotten. */
class HomeCache {
  readonly #keys: FunctionKeys
  readonly #homes = new Map<number, { readonly hash: Hash64; count: number; home: number }>()

  constructor(keys: FunctionKeys) {
    this.#keys = keys
  }

  get size(): number {
    return this.#homes.size
  }

  of(fn: number, count: number): number {
    let entry = this.#homes.get(fn)
    if (!entry) {
      const key = this.#keys(fn)
      entry = { hash: hashText(key), count: 0, home: 0 }
      if (key !== '') this.#homes.set(fn, entry)
    }
    if (entry.count !== count) {
      entry.count = count
      entry.home = jumpHash(entry.hash, count)
    }
    return entry.home
  }

  forget(fn: number): void {
    this.#homes.delete(fn)
  }
}
