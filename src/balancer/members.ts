import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { formatAddress, parseAddress } from '../host/listen.ts'
import type { Placement } from '../placement/placement.ts'
import type { FunctionTable } from './functions.ts'
import type { NodeDigest } from './signals.ts'

/**
 * The name of a node, `host:port` in lower case.
 * @throws SluiceError `invalid`
 */
export function nodeName(text: string): string {
  const address = parseAddress(text.trim().toLowerCase())
  if (address && address.port > 0) return formatAddress(address)
  throw new SluiceError('invalid', 'Invalid node', {
    detail: `a node is host:port with a port from 1 to 65535, got ${JSON.stringify(text)}`,
  })
}

/** What the balancer knows of a node. */
export interface NodeState {
  readonly node: number
  readonly name: string
  online: boolean
  draining: boolean
  /** Failed checks and connects since something last succeeded. */
  failures: number
  lastError: string | undefined
  /** Own calls and other requests outstanding. */
  inflight: number
  boot: string
  /** The boot before: its late replies must not look like another restart. */
  lastBoot: string
  seq: number
}

/** The nodes there are, and which of them may be chosen. Placement hears of every change. */
export class Members {
  readonly #byName = new Map<string, NodeState>()
  readonly #byNumber = new Map<number, NodeState>()
  readonly #placement: Placement
  readonly #functions: FunctionTable
  readonly #clock: Clock
  readonly #threshold: number
  readonly #log: Logger
  #all: readonly NodeState[] = []
  #next = 0
  #turn = 0

  /** @param threshold failures in a row that take a node out */
  constructor(placement: Placement, functions: FunctionTable, clock: Clock, threshold: number, log: Logger) {
    this.#placement = placement
    this.#functions = functions
    this.#clock = clock
    this.#threshold = threshold
    this.#log = log
  }

  get all(): readonly NodeState[] {
    return this.#all
  }

  get(node: number): NodeState | undefined {
    return this.#byNumber.get(node)
  }

  /** A new node is presumed online. `undefined` when it is there already. */
  add(name: string): NodeState | undefined {
    if (this.#byName.has(name)) return undefined
    const state: NodeState = {
      node: this.#next++,
      name,
      online: true,
      draining: false,
      failures: 0,
      lastError: undefined,
      inflight: 0,
      boot: '',
      lastBoot: '',
      seq: -1,
    }
    this.#byName.set(name, state)
    this.#byNumber.set(state.node, state)
    this.#changed()
    return state
  }

  /** Forgets the node completely: one of the same name is a new one. */
  remove(name: string): NodeState | undefined {
    const state = this.#byName.get(name)
    if (!state) return undefined
    this.#byName.delete(name)
    this.#byNumber.delete(state.node)
    this.#changed()
    return state
  }

  /** Any node that may be chosen, in turn; -1 = none. */
  next(tried: readonly number[]): number {
    for (let i = 0; i < this.#all.length; i++) {
      const state = this.#all[(this.#turn + i) % this.#all.length] as NodeState
      if (!isEligible(state) || tried.includes(state.node)) continue
      this.#turn = (this.#turn + i + 1) % this.#all.length
      return state.node
    }
    return -1
  }

  /** A check or a connect failed. */
  failed(state: NodeState, why: string): void {
    state.failures++
    state.lastError = why
    if (!state.online || state.failures < this.#threshold) return
    this.#log.warn({ node: state.name, failures: state.failures, error: why }, 'node is offline')
    this.#set(state, false, state.draining)
  }

  /** The node answered a request. Does not bring a node back: only a check does. */
  answered(state: NodeState): void {
    if (state.online) state.failures = 0
  }

  /** A check succeeded, and the node may have told of its load. */
  healthy(state: NodeState, digest: NodeDigest | undefined): void {
    state.failures = 0
    if (!state.online) this.#log.info({ node: state.name }, 'node is online')
    const fresh = digest !== undefined && this.isFresh(state, digest)
    this.#set(state, true, fresh ? digest.draining : digest ? state.draining : false)
    if (!fresh || !this.#byNumber.has(state.node)) return
    this.#placement.digest(state.node, { ...digest, idle: this.#numbered(digest.idle) }, this.#clock.now())
  }

  /** The node said that it takes no more calls. Holds until a check says otherwise. */
  drains(state: NodeState): void {
    this.#set(state, state.online, true)
  }

  /** Whether a report is no older than what is known; if so, it is what is known. */
  isFresh(state: NodeState, { boot, seq }: { readonly boot: string; readonly seq: number }): boolean {
    if (boot === state.boot) {
      if (seq < state.seq) return false
    } else {
      if (boot === state.lastBoot) return false
      state.lastBoot = state.boot
      state.boot = boot
    }
    state.seq = seq
    return true
  }

  /** For the detail of an error: how many there are and what is wrong with them. */
  describe(): string {
    const offline = this.#all.filter((state) => !state.online)
    const draining = this.#all.filter((state) => state.online && state.draining)
    const last = this.#all.findLast((state) => state.failures > 0 && state.lastError !== undefined)
    const counts = `${this.#all.length} nodes, ${offline.length} offline, ${draining.length} draining`
    return last ? `${counts}; last error: ${last.name}: ${last.lastError}` : counts
  }

  /** Functions that this balancer has not seen are left out: what is idle there will matter when they are called. */
  #numbered(idle: NodeDigest['idle']): Map<number, number> {
    const counts = new Map<number, number>()
    for (const [id, count] of Object.entries(idle)) {
      const fn = this.#functions.find(id)
      if (fn !== undefined) counts.set(fn, count)
    }
    return counts
  }

  #set(state: NodeState, online: boolean, draining: boolean): void {
    if (state.online === online && state.draining === draining) return
    state.online = online
    state.draining = draining
    if (this.#byNumber.has(state.node)) this.#changed()
  }

  #changed(): void {
    this.#all = [...this.#byNumber.values()]
    const table = this.#all.map((state) => ({
      node: state.node,
      name: state.name,
      eligible: isEligible(state),
    }))
    this.#placement.member(table, this.#clock.now())
  }
}

const isEligible = (state: NodeState): boolean => state.online && !state.draining
