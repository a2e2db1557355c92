import type { Sluice } from '../../compose.ts'
import { formatAddress } from '../../host/listen.ts'

/** What one node has done since {@link Figures.reset}, and does now. */
export interface NodeFigures {
  readonly name: string
  readonly calls: number
  readonly running: number
  readonly queued: number
  /** Mean wait of the calls of the last full second, `undefined` when there were none. */
  readonly waitMs: number | undefined
  readonly starts: number
}

/** The figures of all nodes, asked over HTTP as a balancer would. */
export class Figures {
  readonly #sluice: Sluice
  readonly #token: string | undefined
  #base = new Map<string, { calls: number; starts: number }>()
  #cursor: string | undefined
  #waits = new Map<string, number>()

  constructor(sluice: Sluice, token: string | undefined) {
    this.#sluice = sluice
    this.#token = token
  }

  /** Counts from here. */
  async reset(): Promise<void> {
    this.#base = new Map()
    for (const { name, calls, starts } of await this.read()) this.#base.set(name, { calls, starts })
  }

  async read(): Promise<NodeFigures[]> {
    const { stats, cursor } = this.#sluice.balancer.stats(this.#cursor)
    this.#cursor = cursor
    if (stats.length > 0) this.#waits = new Map(stats.map(({ node, wait }) => [node, wait * 1_000]))
    return Promise.all(
      this.#sluice.nodes.map(async ({ url, address }) => {
        const headers = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
        const load = (await (await fetch(`${url}/node/load`, { headers })).json()) as NodeLoad
        const name = formatAddress(address)
        const base = this.#base.get(name) ?? { calls: 0, starts: 0 }
        return {
          name,
          calls: load.calls - base.calls,
          running: load.run,
          queued: load.queue,
          waitMs: this.#waits.get(name),
          starts: load.starts - base.starts,
        }
      }),
    )
  }

  /** Calls by node. */
  async calls(): Promise<Record<string, number>> {
    return Object.fromEntries((await this.read()).map(({ name, calls }) => [name, calls]))
  }
}

interface NodeLoad {
  readonly run: number
  readonly queue: number
  readonly calls: number
  readonly starts: number
}
