import { Client } from 'undici'
import { type Clock, limit, sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { type LoadDigest, parseDigest } from '../core/load.ts'
import type { Random } from '../core/random.ts'
import type { Member, Members } from './members.ts'

const LOAD_PATH = '/node/load'
/** Share of the interval by which a pause may be shorter or longer, so that balancers do not check in step. */
const JITTER = 0.1
const MAX_ANSWER = 1_048_576

export interface HealthOptions {
  /** Milliseconds between checks. */
  readonly interval: number
  /** Asked of nodes that do not know `/node/load`. */
  readonly path: string
  /** Milliseconds that one check may take. */
  readonly timeout: number
  readonly token: string | undefined
  readonly clock: Clock
  readonly random: Random
}

/** Checks every node that it watches, each in a loop of its own: the checks of one node never overlap. */
export class Health implements AsyncDisposable {
  readonly #members: Members
  readonly #options: HealthOptions
  readonly #watched = new Map<Member, { readonly stop: AbortController; readonly ended: Promise<void> }>()

  constructor(members: Members, options: HealthOptions) {
    this.#members = members
    this.#options = options
  }

  /** The first check is made at once. */
  watch(member: Member): void {
    const stop = new AbortController()
    this.#watched.set(member, { stop, ended: this.#loop(member, stop.signal) })
  }

  unwatch(member: Member): void {
    this.#watched.get(member)?.stop.abort()
    this.#watched.delete(member)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const loops = [...this.#watched.values()]
    this.#watched.clear()
    for (const { stop } of loops) stop.abort()
    await Promise.all(loops.map(({ ended }) => ended))
  }

  async #loop(member: Member, signal: AbortSignal): Promise<void> {
    const { clock, interval, random } = this.#options
    while (!signal.aborted) {
      await this.#check(member, signal)
      await sleep(clock, interval * (1 + JITTER * (2 * random() - 1)), signal).catch(() => {})
    }
  }

  async #check(member: Member, signal: AbortSignal): Promise<void> {
    // A connection of its own each time: that a node accepts one is part of what is asked.
    const client = new Client(`http://${member.known.name}`, { pipelining: 0, maxResponseSize: MAX_ANSWER })
    using timed = limit(this.#options.clock, this.#options.timeout, signal)
    try {
      const digest = await this.#ask(client, timed.signal)
      if (!signal.aborted) this.#members.healthy(member, digest)
    } catch (error) {
      if (!signal.aborted) this.#members.failed(member, `check failed: ${messageOf(error)}`)
    } finally {
      await client.destroy()
    }
  }

  async #ask(client: Client, signal: AbortSignal): Promise<LoadDigest | undefined> {
    const load = await this.#get(client, LOAD_PATH, signal)
    if (load.status !== 404) return parseDigest(accepted(load).text)
    accepted(await this.#get(client, this.#options.path, signal))
    return undefined
  }

  async #get(client: Client, path: string, signal: AbortSignal): Promise<Answer> {
    const { token } = this.#options
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const answer = await client.request({ method: 'GET', path, headers, signal })
    return { path, status: answer.statusCode, text: await answer.body.text() }
  }
}

interface Answer {
  readonly path: string
  readonly status: number
  readonly text: string
}

function accepted(answer: Answer): Answer {
  if (answer.status >= 200 && answer.status <= 299) return answer
  throw new Error(`${answer.path} answered ${answer.status}`)
}
