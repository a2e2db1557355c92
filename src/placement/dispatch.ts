import type { Reject, Wait } from '../core/headers.ts'
import type { Load } from '../core/load.ts'
import type { KnownNode, Nodes } from './nodes.ts'
import type { CallOutcome, Decision, Placement } from './placement.ts'

/** Refusals that one call may collect: enough to find room, too few to multiply an overload. */
export const MAX_REFUSALS = 4

/** What the calls of one balancer share. */
export interface Dispatcher {
  readonly placement: Placement
  readonly nodes: Nodes
  /** Written by each choice; read it before the next one. */
  readonly decision: Decision
}

/** What an answer, or its head, says. Whatever a node did not say is `undefined`. */
export interface Report {
  readonly kind: CallOutcome['kind']
  readonly wait: Wait | undefined
  readonly load: Load | undefined
}

/**
 * One call's way through placement: to a node, and to another one as long as none has started it. Pure: it is told
 * what happened and when, and says where the call goes; who drives it moves the bytes, or the simulator's clock.
 * Every node that a call was sent to is told of once as done or refused.
 */
export class Dispatch {
  readonly #shared: Dispatcher
  readonly #fn: number
  readonly #tried: number[] = []
  #at: KnownNode | undefined
  #outstanding = false
  #kind: CallOutcome['kind'] = 'ok'
  #sentAt = 0
  #refusals = 0
  #reject: Reject | undefined

  /** @param fn the number under which the call is placed, reported and finished, whatever it resolves to */
  constructor(shared: Dispatcher, fn: number) {
    this.#shared = shared
    this.#fn = fn
  }

  /** The node that the call was sent to last. */
  get at(): KnownNode | undefined {
    return this.#at
  }

  get sentAt(): number {
    return this.#sentAt
  }

  /** How often it was refused. */
  get refusals(): number {
    return this.#refusals
  }

  /** The last refusal's word. */
  get reject(): Reject | undefined {
    return this.#reject
  }

  /** Where the call goes first; `undefined` = no node may be chosen. */
  begin(now: number): KnownNode | undefined {
    return this.#send(now)
  }

  /** The node cannot have got it. Where it goes next, if anywhere. */
  unreached(now: number): KnownNode | undefined {
    if (!this.#outstanding) return undefined
    this.#settle('lost', now)
    return this.#send(now)
  }

  /**
   * The node refused it before it started.
   * @param repeatable whether it can be sent again
   * @returns where it goes next; `undefined` = nowhere: this refusal is its answer
   */
  refused(reject: Reject, load: Load | undefined, repeatable: boolean, now: number): KnownNode | undefined {
    const { placement, nodes } = this.#shared
    if (!this.#at || !this.#outstanding) return undefined
    const { node } = this.#at
    this.#outstanding = false
    nodes.done(node)
    placement.nack(this.#fn, node, this.#fresh(node, load), now)
    if (reject === 'draining') nodes.setDraining(node, true, now)
    this.#reject = reject
    if (reject === 'quota' || ++this.#refusals >= MAX_REFUSALS || !repeatable) return undefined
    return this.#send(now)
  }

  /** The node began to answer. Only of a platform's own errors is the wait left out: no call has waited there. */
  answered({ kind, wait, load }: Report, now: number): void {
    if (!this.#at || !this.#outstanding) return
    this.#kind = kind
    const { node } = this.#at
    const waited = kind === 'platform' ? undefined : wait
    this.#shared.placement.report(this.#fn, node, waited, this.#fresh(node, load), now)
  }

  /** The answer is whole. */
  ended(now: number): void {
    this.#settle(this.#kind, now)
  }

  /** The node got it, and its answer will never be whole. */
  lost(now: number): void {
    this.#settle('lost', now)
  }

  /** The caller went away, or broke off what it sent. */
  left(now: number): void {
    this.#settle('client', now)
  }

  /** The one place where a call is sent. */
  #send(now: number): KnownNode | undefined {
    const { placement, nodes, decision } = this.#shared
    placement.pick(this.#fn, now, this.#tried, decision)
    const next = nodes.get(decision.node)
    if (!next) return undefined
    this.#tried.push(next.node)
    this.#at = next
    this.#outstanding = true
    this.#kind = 'ok'
    this.#sentAt = now
    nodes.sent(next.node)
    placement.sent(this.#fn, next.node, now)
    return next
  }

  #settle(kind: CallOutcome['kind'], now: number): void {
    if (!this.#at || !this.#outstanding) return
    const { node } = this.#at
    this.#outstanding = false
    this.#shared.nodes.done(node)
    this.#shared.placement.done(this.#fn, node, { kind, totalMs: now - this.#sentAt }, now)
  }

  #fresh(node: number, load: Load | undefined): Load | undefined {
    return load && this.#shared.nodes.isFresh(node, load) ? load : undefined
  }
}
