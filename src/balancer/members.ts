import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { LoadDigest } from '../core/load.ts'
import type { Logger } from '../core/logger.ts'
import { formatAddress, parseAddress } from '../host/listen.ts'
import type { KnownNode, Nodes } from '../placement/nodes.ts'
import type { FunctionTable } from './functions.ts'

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

/** What the balancer itself has seen of a node. */
export interface Member {
  readonly known: KnownNode
  /** Failed checks and connects since something last succeeded. */
  failures: number
  lastError: string | undefined
  /** Requests that it was sent. */
  requests: number
  /** Connects, checks and requests that failed. */
  faults: number
}

/** The nodes by name, and their health: placement hears when one goes or comes back. */
export class Members {
  readonly #byName = new Map<string, Member>()
  readonly #byNumber = new Map<number, Member>()
  readonly #nodes: Nodes
  readonly #functions: FunctionTable
  readonly #clock: Clock
  readonly #threshold: number
  readonly #log: Logger

  /** @param threshold failures in a row that take a node out */
  constructor(nodes: Nodes, functions: FunctionTable, clock: Clock, threshold: number, log: Logger) {
    this.#nodes = nodes
    this.#functions = functions
    this.#clock = clock
    this.#threshold = threshold
    this.#log = log
  }

  get all(): readonly Member[] {
    return [...this.#byNumber.values()]
  }

  get({ node }: KnownNode): Member | undefined {
    return this.#byNumber.get(node)
  }

  /** A new node is presumed online. `undefined` when it is there already. */
  add(name: string): Member | undefined {
    if (this.#byName.has(name)) return undefined
    const known = this.#nodes.add(name, this.#clock.now())
    const member: Member = { known, failures: 0, lastError: undefined, requests: 0, faults: 0 }
    this.#byName.set(name, member)
    this.#byNumber.set(known.node, member)
    return member
  }

  /** Forgets the node completely: one of the same name is a new one. */
  remove(name: string): Member | undefined {
    const member = this.#byName.get(name)
    if (!member) return undefined
    this.#byName.delete(name)
    this.#byNumber.delete(member.known.node)
    this.#nodes.remove(member.known.node, this.#clock.now())
    return member
  }

  /** A check or a connect failed. */
  failed(member: Member, why: string): void {
    const { node, name, online } = member.known
    member.faults++
    member.failures++
    member.lastError = why
    if (!online || member.failures < this.#threshold) return
    this.#log.warn({ node: name, failures: member.failures, error: why }, 'node is offline')
    this.#nodes.setOnline(node, false, this.#clock.now())
  }

  /** The node answered a request. Does not bring a node back: only a check does. */
  answered(member: Member): void {
    if (member.known.online) member.failures = 0
  }

  /** A check succeeded, and the node may have told of its load; one that never tells does not drain. */
  healthy(member: Member, digest: LoadDigest | undefined): void {
    const { node, name, online } = member.known
    const now = this.#clock.now()
    member.failures = 0
    if (!online) this.#log.info({ node: name }, 'node is online')
    this.#nodes.setOnline(node, true, now)
    if (digest) this.#nodes.digest(node, { ...digest, idle: this.#numbered(digest.idle) }, now)
    else this.#nodes.setDraining(node, false, now)
  }

  /** For the detail of an error: how many there are and what is wrong with them. */
  describe(): string {
    const all = this.all
    const offline = all.filter(({ known }) => !known.online)
    const draining = all.filter(({ known }) => known.online && known.draining)
    const last = all.findLast(({ failures, lastError }) => failures > 0 && lastError !== undefined)
    const counts = `${all.length} nodes, ${offline.length} offline, ${draining.length} draining`
    return last ? `${counts}; last error: ${last.known.name}: ${last.lastError}` : counts
  }

  /** Functions that this balancer has not seen are left out: what is idle there will matter when they are called. */
  #numbered(idle: LoadDigest['idle']): Map<number, number> {
    const counts = new Map<number, number>()
    for (const [id, count] of Object.entries(idle)) {
      const fn = this.#functions.find(id)
      if (fn !== undefined) counts.set(fn, count)
    }
    return counts
  }
}
