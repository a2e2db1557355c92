/** What one container takes of a node. */
export interface Resources {
  /** Bytes. */
  readonly memory: number
  /** Thousandths of a CPU; whole numbers, so that sums are exact. */
  readonly mcpus: number
}

/** What the scheduler knows of a function: whose it is, what a container of it takes, and how its calls may run. */
export interface Workload {
  /** The function. */
  readonly key: string
  /** The app: what shares of a node are counted by. */
  readonly owner: string
  /** Equal when nothing changed that a container could see. */
  readonly version: string
  readonly need: Resources
  /** Calls one container serves at once, at least 1. */
  readonly concurrency: number
  /** Calls that may run at once on this node; 0 = no limit. */
  readonly maxConcurrency: number
  /** Milliseconds a call may wait for its start. */
  readonly maxWait: number
  /** Milliseconds an idle container is kept. */
  readonly idleTimeout: number
  /** Containers kept ready once the function has run here; nobody evicts them. */
  readonly minWarm: number
  /** A container serves one call and is made for it. */
  readonly once: boolean
}
