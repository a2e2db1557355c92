import type { Wait } from '../core/headers.ts'
import type { Load } from '../core/load.ts'
import type { Random } from '../core/random.ts'

/**
 * The port of a placement strategy: which node gets a call. Pure: no clock, no I/O, no allocation per candidate.
 * Functions and nodes are small integers that the caller interned; a node's integer is never reused for another one.
 * All times are milliseconds on one monotonic clock.
 */
export interface Placement {
  readonly name: string
  /** What `Candidate.terms` hold, in order; at most {@link MAX_TERMS}. */
  readonly termNames: readonly string[]
  /** How many functions something is kept of: none of those that were forgotten. */
  readonly functions: number

  /**
   * Chooses a node for a call of `fn` and writes the choice, and why, to `out`.
   * Nodes in `tried` (those that refused or failed this call) are skipped, and so are nodes that may not be chosen.
   * Sets `out.node` to -1 when there is none.
   */
  pick(fn: number, now: number, tried: readonly number[], out: Decision): void

  /** The call was sent to the node: it is outstanding there. */
  sent(fn: number, node: number, now: number): void
  /** An outstanding call ended, however it ended. */
  done(fn: number, node: number, outcome: CallOutcome, now: number): void
  /** An outstanding call was refused before it started; `load` is what the node said with it. */
  nack(fn: number, node: number, load: Load | undefined, now: number): void
  /** What a node said of itself with a reply. */
  report(fn: number, node: number, wait: Wait | undefined, load: Load | undefined, now: number): void
  /** What a node said of itself on a health check; replaces all that was known of it. */
  digest(node: number, load: Load<IdleByFunction>, now: number): void
  /** A node dropped its idle instances of a function. */
  evicted(fn: number, node: number, now: number): void
  /** The caller gave the function's number up: what is known of it goes. Late reports of it are not kept. */
  forget(fn: number): void
  /** The members changed: a whole new table. A member that left is forgotten. */
  member(members: readonly Member[], now: number): void
}

export interface Member {
  readonly node: number
  /** Stable across balancers and restarts (`host:port`): placement hashes it. */
  readonly name: string
  /** May be chosen: alive, not draining, not ejected. */
  readonly eligible: boolean
}

export interface CallOutcome {
  /** Whose fault a failure is (`client`: the caller went away); only `ok` teaches anything about speed. */
  readonly kind: 'ok' | 'function' | 'platform' | 'lost' | 'client'
  /** From sending to the last byte. */
  readonly totalMs: number
}

/** Interned function → idle instances. */
export type IdleByFunction = ReadonlyMap<number, number>

/** Why a candidate cost what it did; `NaN` where a term does not apply. Reused between picks. */
export interface Candidate {
  node: number
  /** Milliseconds that the strategy expects, or its own unit. */
  cost: number
  /** Named terms of the cost, `terms[i]` under `Placement`'s `termNames[i]`. */
  readonly terms: Float64Array
}

export const MAX_CANDIDATES = 8
export const MAX_TERMS = 4

/** One choice with its reasons. Made once per balancer and written by each pick. */
export interface Decision {
  /** -1 = none. */
  node: number
  /** The node that the function prefers when nothing is in the way, -1 = no such notion. */
  home: number
  /** How many of `candidates` hold something. */
  count: number
  readonly candidates: readonly Candidate[]
  /** A word for why: `home`, `spill`, `retry`, `turn`, … */
  reason: string
}

export function makeDecision(): Decision {
  const candidates = Array.from({ length: MAX_CANDIDATES }, () => ({
    node: -1,
    cost: 0,
    terms: new Float64Array(MAX_TERMS),
  }))
  return { node: -1, home: -1, count: 0, candidates, reason: '' }
}

/** Makes a strategy. `keys[fn]` is the stable text of a function (its id): placement hashes it. */
export type PlacementFactory = (keys: FunctionKeys, random: Random) => Placement

/** The stable text of an interned function; empty once its number was given up. */
export type FunctionKeys = (fn: number) => string
