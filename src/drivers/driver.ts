import type { Readable, Writable } from 'node:stream'

/**
 * The port every container runtime plugs into: prepare → cookie → run. A driver knows how to make a container,
 * and how to take it away; it never decides when, never retries a call and never parses HTTP.
 */
export interface Driver extends AsyncDisposable {
  readonly name: DriverName
  readonly capabilities: Capabilities

  /**
   * Everything that can fail for reasons outside the function: pull, credentials, create.
   * Aborting leaves nothing behind. The caller closes the cookie, whether or not it ran.
   * @throws DriverError
   */
  prepare(spec: SpecInput, signal: AbortSignal): Promise<Cookie>
}

export const DRIVER_NAMES = ['docker', 'sandbox', 'process', 'mock'] as const
export type DriverName = (typeof DRIVER_NAMES)[number]

/** What a driver supports. Asked once, at start; what is stated is checked by the contract test. */
export interface Capabilities {
  /** What stands between a function and the machine. `none`: development and trusted code only. */
  readonly isolation: 'container' | 'sandbox' | 'none'
  /** What of the machine and of other containers a function cannot reach. */
  readonly isolates: readonly Boundary[]
  /** What it runs: folders on the base runtime, images. */
  readonly runs: readonly Source['kind'][]
  /** Containers that serve many calls over a socket; containers that serve one over stdin and stdout. */
  readonly modes: readonly ContainerMode[]
  /** The limits of a {@link ContainerSpec} that are enforced rather than advisory. */
  readonly limits: readonly Limit[]
  /**
   * The networks that it can give here. A spec that asks for another is refused, but where `isolates` lacks
   * `network`: there a container has the machine's, whatever it asks for.
   */
  readonly networks: readonly Network[]
  /** Why `networks` lacks one that it gives elsewhere, and what to install. */
  readonly networkMissing?: string
  /** The optional fields of a {@link ContainerSpec} that it honours. A spec that asks for another is refused. */
  readonly options: readonly SpecOption[]
  /** A paused container keeps its memory but uses no CPU. */
  readonly pause: boolean
  /** The metrics of its containers' {@link Stat}s. */
  readonly measures: readonly Metric[]
  /** One sentence: what somebody who runs code of others on it has to trust. */
  readonly trusts: string
  /** Sentences for people: what is missing on this machine and what follows. */
  readonly warnings: readonly string[]
}

/** `calls`: a filter on the kernel's system calls. `users`: a user of its own, without rights on the machine. */
export const BOUNDARIES = ['files', 'processes', 'network', 'users', 'calls'] as const
export type Boundary = (typeof BOUNDARIES)[number]

/** `disk`: what a container can write in all. */
export const LIMITS = ['memory', 'cpu', 'pids', 'disk'] as const
export type Limit = (typeof LIMITS)[number]

export const SPEC_OPTIONS = [
  'cpuShares',
  'extraHosts',
  'logLimit',
  'user',
  'volumes',
  'writableRoot',
] as const
export type SpecOption = (typeof SPEC_OPTIONS)[number]

/** Bytes, `net_*` not of the machine's network; `cpu_user` and `cpu_kernel` in nanoseconds since the start, `cpu_total` in percent of one CPU since the sample before. */
export const METRICS = [
  'net_rx',
  'net_tx',
  'mem_limit',
  'mem_usage',
  'disk_read',
  'disk_write',
  'cpu_user',
  'cpu_kernel',
  'cpu_total',
] as const
export type Metric = (typeof METRICS)[number]

/** `hot`: serves many calls over a unix socket. `cold`: serves one, stdin → stdout. */
export type ContainerMode = 'hot' | 'cold'

/** With all defaults filled in, as adapters get it. */
export interface ContainerSpec {
  /** Unique; 1–63 of `[A-Za-z0-9_-]`. Names the container in the runtime and in logs. */
  readonly id: string
  /** @default 'hot' */
  readonly mode: ContainerMode
  readonly source: Source
  /** Argument list. @default the source's own entry */
  readonly command?: readonly string[]
  /** Inside the container. @default the source's own */
  readonly workDir?: string
  /** The driver adds `FN_LISTENER` to a hot container's. Nothing else of the node's environment is passed on. @default {} */
  readonly env: Readonly<Record<string, string>>
  /** @default {} */
  readonly labels: Readonly<Record<string, string>>
  /** Bytes, swap included; 0 = no limit. */
  readonly memory: number
  /** CPUs' worth of time. @default 0: no limit */
  readonly cpus: number
  /** Weight against other containers while CPUs are short, 2–262144. @default 1024 */
  readonly cpuShares?: number
  /** Processes and threads at once. @default 0: the driver's own limit, 256 */
  readonly pids: number
  /** Bytes of the private temporary folder. @default 0: the driver's own limit, 64 MiB */
  readonly tmpfsSize: number
  /** @default false: its private temporary folder, its socket's folder and its volumes are all it can write. */
  readonly writableRoot?: boolean
  /** `uid` or `uid:gid`, numbers, inside the container. @default '1000:1000' */
  readonly user?: string
  /** @default 'none' */
  readonly network: Network
  /** Names that the container resolves, besides its own: name → address. */
  readonly extraHosts?: Readonly<Record<string, string>>
  readonly volumes?: readonly Volume[]
  /**
   * Bytes of log (stderr; of a hot container stdout too) that are passed on. What comes later is read and dropped,
   * after one line that says so. @default 0: no limit
   */
  readonly logLimit?: number
  /** Milliseconds from the start of a hot container until its socket must be ready. @default 30000 */
  readonly startTimeout: number
  /** Milliseconds a cold container may run; a hot one is stopped by its runner. @default 0: no limit */
  readonly timeout: number
}

/**
 * What a container is asked for with: its id, what it runs and its memory have to be said (forgotten memory would be
 * all of the machine's). Of the rest, a field that is left out and one that is 0 mean the same: the default. Sizes
 * may be texts like `128M`.
 */
export type SpecInput = Pick<ContainerSpec, 'id' | 'source'> &
  Partial<Omit<ContainerSpec, 'id' | 'source' | Size>> &
  Record<'memory', number | string> &
  Partial<Record<Size, number | string>>

type Size = 'memory' | 'tmpfsSize' | 'logLimit'

/**
 * `none`: its own loopback only. `outbound`: a network of its own, from which it reaches out as the driver arranges
 * it. `host`: the machine's own, with all that listens on its loopback.
 */
export const NETWORKS = ['none', 'outbound', 'host'] as const
export type Network = (typeof NETWORKS)[number]

/** A folder of the node's machine inside the container. */
export interface Volume {
  /** Absolute. */
  readonly source: string
  /** Absolute, inside. */
  readonly target: string
  readonly readOnly: boolean
}

/** What a container runs. */
export type Source =
  | {
      /** A folder of the node's file system, read-only for the container. */
      readonly kind: 'bundle'
      readonly dir: string
      /**
       * A folder with the JavaScript of its TypeScript under the same paths, read-only too. Who made it is trusted to
       * have left each character where it was. @default none: Node takes the types out at each start
       */
      readonly stripped?: string
    }
  /** `[registry/]repo[:tag][@digest]`. */
  | { readonly kind: 'image'; readonly ref: string }

/** One request to run one container. Closing it twice is fine, and stops a container that still runs. */
export interface Cookie extends AsyncDisposable {
  /** When what it runs was here, on the driver's clock (ms); absent where a driver gets nothing by itself. */
  readonly fetched?: number
  /**
   * Starts the container, once. Resolves when a cold one has started and when a hot one's socket is ready and pinned.
   * @throws StartError when the container ended or was not ready in time; aborting rejects with the signal's reason
   */
  run(signal: AbortSignal): Promise<Container>
}

/** One running container. Disposing it stops it; twice is fine. */
export interface Container extends AsyncDisposable {
  readonly id: string
  /**
   * Where a hot container listens: a path to connect to, bound to one inode until the container is disposed.
   * Afterwards it may mean another one's socket: close every connection pool to it before disposing.
   */
  readonly socket: string | undefined
  /** Of a cold container. */
  readonly stdin: Writable | undefined
  /** Must always be read. */
  readonly stdout: Readable
  /** Must always be read. */
  readonly stderr: Readable
  /** Settles when nothing of the container is left running. Never rejects. */
  readonly ended: Promise<RunResult>

  /** @throws DriverError `unsupported` unless `capabilities.pause` */
  pause(signal: AbortSignal): Promise<void>
  resume(signal: AbortSignal): Promise<void>
  /** One sample about every second until the container ends; of a driver that measures nothing, none. */
  stats(signal: AbortSignal): AsyncIterable<Stat>
  /** The samples of its life so far, decimated to 240 at the most; also after its end. */
  measured(): readonly Stat[]
  /** Ends the container and everything it started, by force. The reason becomes the result's status. */
  stop(reason: StopReason): Promise<RunResult>
}

export type StopReason = 'timeout' | 'killed' | 'cancelled'

export const RUN_STATUSES = ['success', 'error', 'timeout', 'killed', 'cancelled'] as const
export type RunStatus = (typeof RUN_STATUSES)[number]

/** How a container ended. A function that fails is a value. */
export interface RunResult {
  readonly status: RunStatus
  /** 128 + n when signal n ended it, as a shell says it. Absent when it was stopped, or ran out of memory. */
  readonly exitCode?: number
  /** The kernel or the engine said so; exit code 137 alone says nothing. */
  readonly oom: boolean
  /** For the function's owner. */
  readonly error?: string
  /** Just before execution, on the driver's clock (ms). */
  readonly startedAt: number
}

/** Named metrics at one time: those of the driver's `measures`. */
export interface Stat {
  readonly timestamp: Date
  readonly metrics: Readonly<Record<string, number>>
}

/** Every way a driver can let the runner down. `owner`: the text may be shown to the function's owner. */
const faults = {
  'image-missing': { owner: true },
  /** The registry refused: credentials are missing or wrong. */
  'image-denied': { owner: true },
  /** The registry did not answer, or broke off. */
  'pull-failed': { owner: true },
  'bad-spec': { owner: true },
  unsupported: { owner: true },
  /** Of users, processes, groups: what a machine can have only so many of. */
  'no-room': { owner: false },
  'no-space': { owner: false },
  /** The node's own, or the machine's. */
  'no-descriptors': { owner: false },
  /** It does not answer, or went away meanwhile. */
  'engine-gone': { owner: false },
  unavailable: { owner: false },
  closed: { owner: false },
} as const

export type DriverFault = keyof typeof faults

/** An infrastructure failure: the container could not be prepared or handled. */
export class DriverError extends Error {
  override readonly name = 'DriverError'
  readonly fault: DriverFault

  constructor(fault: DriverFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }

  get userVisible(): boolean {
    return faults[this.fault].owner
  }
}

/** A hot container that did not become ready: the function's fault. Its output tells why. */
export class StartError extends Error {
  override readonly name = 'StartError'
  /** `exited`: it ended first. `bad-socket`: what it offered is no socket of its own. `timeout`: neither in time. */
  readonly fault: 'exited' | 'bad-socket' | 'timeout'
  readonly result: RunResult
  /** The last of stdout and stderr, at most 4 KiB. */
  readonly output: string

  constructor(fault: StartError['fault'], message: string, result: RunResult, output: string) {
    super(message)
    this.fault = fault
    this.result = result
    this.output = output
  }
}
