import type { Birth } from './wait.ts'

/** A container as the scheduler sees it; `body` is what the runner (or the simulator) knows it by. */
export class Instance<B> {
  readonly body: B
  /** Calls it runs now. */
  running = 0
  /** Calls it has been given so far. */
  served = 0
  idleSince = 0
  /** What the next call that takes it has waited for: its start, or its waking. */
  birth: Birth | undefined
  state: 'awake' | 'pausing' | 'paused' | 'waking' | 'ending' = 'awake'
  /** It gets no more calls: when the last has ended, its place goes to this function. */
  yieldsTo: string | undefined

  constructor(body: B, birth: Birth) {
    this.body = body
    this.birth = birth
  }
}
