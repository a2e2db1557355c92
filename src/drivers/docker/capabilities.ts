import { type Boundary, type Capabilities, METRICS, NETWORKS, type SpecOption } from '../driver.ts'

/** What an engine says of itself, as far as it is used. */
export interface EngineInfo {
  readonly KernelVersion: string
  readonly MemoryLimit?: boolean
  readonly SwapLimit?: boolean
  readonly CpuCfsQuota?: boolean
  readonly PidsLimit?: boolean
  readonly CPUShares?: boolean
  readonly SecurityOptions?: readonly string[] | null
}

export interface Found {
  readonly info: EngineInfo
  readonly host: string
  readonly tls: boolean
  readonly podman: boolean
  readonly runtime: boolean
  /** Why it does not share this machine's files; `undefined` when it does. */
  readonly notShared: string | undefined
  /** Why sockets cannot be inside of containers; `undefined` when they are. */
  readonly notInside: string | undefined
}

export function capabilitiesOf(found: Found): Capabilities {
  const { info, notInside, notShared, podman, runtime } = found
  const shared = notShared === undefined
  const filtered = hasFilter(info)
  const isolates: Boundary[] = ['files', 'processes', 'network', 'users']
  const options: SpecOption[] = ['extraHosts', 'logLimit', 'user', 'writableRoot']
  return {
    isolation: 'container',
    isolates: filtered ? [...isolates, 'calls'] : isolates,
    runs: shared && runtime ? ['bundle', 'image'] : ['image'],
    modes: shared ? ['hot', 'cold'] : ['cold'],
    // Only a folder of the machine's for the socket has no size: one that has no hot containers has none.
    limits: [...limitsOf(info), ...(shared && notInside !== undefined ? [] : (['disk'] as const))],
    options: [...options, ...(info.CPUShares ? (['cpuShares'] as const) : []), ...(shared ? VOLUMES : [])],
    networks: NETWORKS,
    pause: true,
    measures: METRICS,
    trusts: `The kernel, and ${podman ? 'podman' : 'the Docker engine'}, which runs with its rights and not the node's.`,
    warnings: warningsOf(found),
  }
}

const VOLUMES: readonly SpecOption[] = ['volumes']

const hasFilter = ({ SecurityOptions }: EngineInfo) =>
  (SecurityOptions ?? []).some((option) => /\bseccomp\b/.test(option) && !/unconfined/.test(option))

const limitsOf = ({ CpuCfsQuota, MemoryLimit, PidsLimit }: EngineInfo): (keyof typeof LIMITED)[] => [
  ...(MemoryLimit ? (['memory'] as const) : []),
  ...(CpuCfsQuota ? (['cpu'] as const) : []),
  ...(PidsLimit ? (['pids'] as const) : []),
]

const LIMITED = { memory: 'memory', cpu: 'CPU time', pids: 'the number of processes' } as const

function warningsOf({ host, info, notInside, notShared, podman, runtime, tls }: Found): string[] {
  const name = podman ? 'podman' : 'the Docker engine'
  const limits = limitsOf(info)
  const open = (['memory', 'cpu', 'pids'] as const).filter((limit) => !limits.includes(limit))
  const warnings: [boolean, string][] = [
    [podman, 'The engine is podman, behind its interface for Docker: starting and stopping takes longer.'],
    [
      notShared !== undefined,
      `${capital(name)} does not share this machine's folders (${notShared}): it runs images that read stdin, and neither hot functions nor bundles.`,
    ],
    [!runtime && notShared === undefined, 'There is no base runtime: images run, bundles do not.'],
    [
      open.length > 0,
      `${capital(name)} does not limit ${open.map((limit) => LIMITED[limit]).join(', ')} on its machine.`,
    ],
    [
      notShared === undefined && notInside !== undefined,
      `What functions write beside their sockets fills this machine's disk: containers cannot be looked into (${notInside}).`,
    ],
    [
      info.MemoryLimit === true && info.SwapLimit === false,
      'Swap is not limited: functions may use more than their memory.',
    ],
    [
      !hasFilter(info),
      `${capital(name)} does not filter system calls: functions reach all of the kernel that is open to users.`,
    ],
    [
      host.startsWith('tcp:') && !tls,
      'The engine is reached by TCP without TLS: whoever reaches its port has its machine.',
    ],
  ]
  return warnings.filter(([holds]) => holds).map(([, text]) => text)
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
