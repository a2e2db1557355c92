import { follows, type InstanceEvent, type InstanceState } from './instance-state.ts'
import type { Place } from './line.ts'
import type { Birth } from './wait.ts'

/** A container as the scheduler sees it; `body` is what the runner (or the simulator) knows it by. */
export class Instance<B> {
  readonly body: B
  /** Calls it runs now. */
  running = 0
  /** Calls it has been given so far. */
  served = 0
  idleSince = 0
  /** Idle for so long that its function has left its usual rhythm. */
  silent = false
  /** What the next call that takes it has waited for: its start, or its waking. */
  birth: Birth | undefined
  /** It gets no more calls: when the last has ended, its place goes to this function. */
  yieldsTo: string | undefined
  /** Where it stands among those to use, and among the idle. */
  usable: Place<Instance<B>> | undefined
  idle: Place<Instance<B>> | undefined
  #state: InstanceState = 'awake'

  constructor(body: B, birth: Birth) {
    this.body = body
    this.birth = birth
  }

  get state(): InstanceState {
    return this.#state
  }

  /**
   * @returns whether that changed anything
   * @throws Error when it cannot happen to a container in this state
   */
  undergo(event: InstanceEvent): boolean {
    const next = follows(this.#state, event)
    if (next === undefined) throw new Error(`${event} cannot happen to a container that is ${this.#state}`)
    const changes = next !== this.#state
    this.#state = next
    return changes
  }
}
