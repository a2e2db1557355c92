/** A moving average whose first sample is taken as it is. */
export class Average {
  readonly #gain: number
  #value: number | undefined

  /** @param gain weight of the newest sample, 0 to 1 */
  constructor(gain = 0.2) {
    this.#gain = gain
  }

  get value(): number | undefined {
    return this.#value
  }

  add(sample: number): void {
    this.#value = this.#value === undefined ? sample : this.#value + this.#gain * (sample - this.#value)
  }
}

/** Why a function had to be started: what became of the containers it had, or what asked for one more. */
export const START_REASONS = [
  'first',
  'idle',
  'evicted',
  'crashed',
  'deploy',
  'scale-out',
  'one-call',
  'min-warm',
  'prewarm',
] as const
export type StartReason = (typeof START_REASONS)[number]

/** How a function lost its last container. */
export interface Loss {
  readonly reason: 'idle' | 'evicted' | 'crashed' | 'deploy'
  /** On the clock (ms). */
  readonly at: number
  /** The function whose container took its place. */
  readonly evictedFor?: string
}

/** What is remembered of a function beyond the life of its containers. Times in milliseconds. */
export class Past {
  /** How long a call holds its slot. */
  readonly service: Average = new Average()
  /** How long a container takes from the decision to start it until it is ready. */
  readonly start: Average = new Average()
  /** How long a container is idle before the next call takes it. */
  readonly gap: Average = new Average()
  lost: Loss | undefined
}

/** The pasts of the functions of a node, the least recently called forgotten first. */
export class Pasts {
  readonly #most: number
  readonly #pasts = new Map<string, Past>()

  constructor(most = 20_000) {
    this.#most = most
  }

  of(key: string): Past {
    const known = this.#pasts.get(key)
    if (known) this.#pasts.delete(key)
    else if (this.#pasts.size >= this.#most) this.#pasts.delete(this.#pasts.keys().next().value as string)
    const past = known ?? new Past()
    this.#pasts.set(key, past)
    return past
  }
}
