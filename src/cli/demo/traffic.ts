import { type Clock, sleep } from '../../core/clock.ts'
import { first } from '../../core/headers.ts'
import type { Client } from '../client.ts'

/** What the caller saw of one call. Times in milliseconds. */
export interface Seen {
  /** 200, or why not. */
  readonly failure: string | undefined
  readonly body: string
  /** From sending to the last byte. */
  readonly total: number
  /** For the start of the execution, as the answer says. */
  readonly wait: number
}

/** Calls one function through the balancer. */
export class Traffic {
  readonly #client: Client
  readonly #clock: Clock
  readonly #url: string
  readonly #signal: AbortSignal

  constructor(client: Client, clock: Clock, url: string, signal: AbortSignal) {
    this.#client = client
    this.#clock = clock
    this.#url = url
    this.#signal = signal
  }

  /** One call. A failure is a value; only an abort throws. */
  async call(body: string): Promise<Seen> {
    const began = this.#clock.now()
    const options = {
      body: Buffer.from(body),
      headers: { 'content-type': 'application/json' },
      timeLimit: 60_000,
    }
    try {
      return await this.#client.invoke(this.#url, options, async (answer) => {
        const text = await answer.body.text()
        const timing = first(answer.headers['server-timing']) ?? ''
        const wait = duration(timing, 'queue') + duration(timing, 'start') + duration(timing, 'fetch')
        const failure = answer.status === 200 ? undefined : `${answer.status} ${text.trim()}`
        return { failure, body: text, total: this.#clock.now() - began, wait }
      })
    } catch (error) {
      this.#signal.throwIfAborted()
      return { failure: String(error), body: '', total: this.#clock.now() - began, wait: 0 }
    }
  }

  /** One call after the other. */
  async inTurn(count: number, body: string): Promise<Seen[]> {
    const seen: Seen[] = []
    for (let i = 0; i < count; i++) {
      this.#signal.throwIfAborted()
      seen.push(await this.call(body))
    }
    return seen
  }

  /** Open loop: `count` calls at `rate` a second, sent whether or not earlier ones have been answered. */
  async atRate(count: number, rate: number, body: string): Promise<Seen[]> {
    const began = this.#clock.now()
    const calls: Promise<Seen>[] = []
    for (let i = 0; i < count; i++) {
      await sleep(this.#clock, began + (i * 1_000) / rate - this.#clock.now(), this.#signal)
      const call = this.call(body)
      call.catch(() => {}) // heard below, where all are awaited
      calls.push(call)
    }
    return Promise.all(calls)
  }
}

/** The value at a share of a list, 0…1; 0 of an empty list. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function duration(timing: string, name: string): number {
  return Number(new RegExp(`(?:^|,\\s*)${name};dur=([\\d.]+)`).exec(timing)?.[1] ?? 0)
}
