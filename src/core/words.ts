/** JSON that a user attached to a resource: key → any value but null and "". */
export type Annotations = Readonly<Record<string, unknown>>
export type Config = Readonly<Record<string, string>>

/** A namespace of functions with shared config. Times are RFC 3339 with milliseconds. */
export interface App {
  readonly id: string
  readonly name: string
  readonly config: Config
  readonly annotations: Annotations
  readonly syslog_url: string
  readonly shape: string
  readonly created_at: string
  readonly updated_at: string
}

export const FORMATS = ['http-stream', 'http', 'default', 'port'] as const
export type Format = (typeof FORMATS)[number]

/** Beyond today's Fn: extra top-level fields of a function, absent on PUT = left alone. */
export interface FnSettings {
  /** How a call reaches the function. @default 'http-stream' */
  readonly format: Format
  /** CPUs it may use; 0 = no limit. @default 0 */
  readonly cpus: number
  /** MiB of its private temporary folder; 0 = the driver's default. @default 0 */
  readonly tmpfs_size: number
  /** Calls one container serves at once. @default 1 */
  readonly concurrency: number
  /** Calls that run at once on one node; 0 = no limit but the node's. @default 0 */
  readonly max_concurrency: number
  /** Seconds a container may take to become ready. @default 5 */
  readonly start_timeout: number
  /** Seconds a call may wait for its start. @default 30 */
  readonly max_wait: number
  /** Containers kept ready on a node that has run the function. @default 0 */
  readonly min_warm: number
  /** Calls are queued and answered with 202. @default false */
  readonly async: boolean
  /** Whether its containers have a network. @default false */
  readonly network: boolean
}

export const FN_SETTINGS: FnSettings = {
  format: 'http-stream',
  cpus: 0,
  tmpfs_size: 0,
  concurrency: 1,
  max_concurrency: 0,
  start_timeout: 5,
  max_wait: 30,
  min_warm: 0,
  async: false,
  network: false,
}

/** What a function gets that says nothing else. */
export const FN_LIMITS = { memory: 128, timeout: 30, idle_timeout: 30 } as const

/** An image or a bundle, with limits. */
export interface Fn extends FnSettings {
  readonly id: string
  readonly name: string
  readonly app_id: string
  /** An image reference, or `bundle@sha256:<hex>`. */
  readonly image: string
  /** MiB. @default 128 */
  readonly memory: number
  /** Seconds one execution may take. @default 30 */
  readonly timeout: number
  /** Seconds an idle container is kept. @default 30 */
  readonly idle_timeout: number
  readonly config: Config
  readonly annotations: Annotations
  readonly shape: string
  readonly created_at: string
  readonly updated_at: string
}

/** An HTTP path bound to a function. */
export interface Trigger {
  readonly id: string
  readonly name: string
  readonly app_id: string
  readonly fn_id: string
  readonly type: string
  readonly source: string
  readonly annotations: Annotations
  readonly created_at: string
  readonly updated_at: string
}

const BUNDLE_IMAGE = /^bundle@sha256:([0-9a-f]{64})$/

/** The hex digest of a bundle's image text, or `undefined` for an image of a registry. */
export const bundleDigest = (image: string): string | undefined => BUNDLE_IMAGE.exec(image)?.[1]

export const bundleImage = (digest: string): string => `bundle@sha256:${digest}`

/** Why a node does not take a call: what `Fn-Reject` says. */
export const REJECTS = ['busy', 'draining', 'no-image', 'quota'] as const
export type Reject = (typeof REJECTS)[number]

/** Whose error an answer is: what `Fn-Origin` says. */
export const ORIGINS = ['platform', 'function'] as const
export type Origin = (typeof ORIGINS)[number]

/** Strategies that the balancer can place by. */
export const STRATEGY_NAMES = ['fnlb', 'round-robin'] as const
export type StrategyName = (typeof STRATEGY_NAMES)[number]

/** Drivers that a node can be told to use; `auto` takes the best that the machine has. */
export const DRIVER_CHOICES = ['auto', 'docker', 'sandbox', 'process', 'mock'] as const
export type DriverChoice = (typeof DRIVER_CHOICES)[number]
