import { isAbsolute, normalize } from 'node:path'
import { parseBytes } from '../core/units.ts'
import {
  type Capabilities,
  type ContainerSpec,
  DriverError,
  type DriverName,
  NETWORKS,
  SPEC_OPTIONS,
  type SpecInput,
  type SpecOption,
} from './driver.ts'

/**
 * Fills in what a spec leaves out, and refuses what a driver cannot run, before anything is made.
 * @throws DriverError `bad-spec` or `unsupported`
 */
export function checkSpec(driver: DriverName, capabilities: Capabilities, input: SpecInput): ContainerSpec {
  const spec = fill(input)
  checkValues(spec)
  const refuse = (text: string) => new DriverError('unsupported', `the ${driver} driver ${text}`)
  const { kind } = spec.source
  if (!capabilities.runs.includes(kind))
    throw refuse(`does not run ${kind}s${kind === 'image' ? '; the docker and sandbox drivers do' : ''}`)
  if (!capabilities.modes.includes(spec.mode)) throw refuse(`has no ${spec.mode} containers`)
  if (capabilities.isolates.includes('network') && !capabilities.networks.includes(spec.network))
    throw refuse(`gives no network here: ${capabilities.networkMissing ?? spec.network}`)
  const missing = askedOptions(spec).find((option) => !capabilities.options.includes(option))
  if (missing) throw refuse(`does not support ${missing}`)
  return spec
}

function fill(input: SpecInput): ContainerSpec {
  const { logLimit, memory, tmpfsSize, ...rest } = input
  const limit = sizeOf('logLimit', logLimit ?? 0)
  return {
    mode: 'hot',
    env: {},
    labels: {},
    network: 'none',
    ...rest,
    memory: sizeOf('memory', memory),
    tmpfsSize: sizeOf('tmpfsSize', tmpfsSize ?? 0),
    cpus: rest.cpus ?? 0,
    pids: rest.pids ?? 0,
    startTimeout: rest.startTimeout || START_TIMEOUT,
    timeout: rest.timeout ?? 0,
    ...(limit !== 0 && { logLimit: limit }),
  }
}

const START_TIMEOUT = 30_000

/** Bytes of a number or of a text with a unit. */
function sizeOf(name: string, value: number | string): number {
  if (typeof value !== 'string') return value
  try {
    return parseBytes(value)
  } catch (error) {
    const rule = `${name} must be a number of bytes or a text like 128M, got ${JSON.stringify(value)}`
    throw new DriverError('bad-spec', rule, { cause: error })
  }
}

/** The user and group that a spec asks for. @default 1000:1000 */
export function userOf({ user = '1000:1000' }: Pick<ContainerSpec, 'user'>): { uid: number; gid: number } {
  const [uid, gid = uid] = user.split(':').map(Number)
  return { uid: uid as number, gid: gid as number }
}

function checkValues(spec: ContainerSpec): void {
  const check = (holds: boolean, rule: string, value: unknown) => {
    if (!holds) throw new DriverError('bad-spec', `${rule}, got ${JSON.stringify(value)}`)
  }
  const kinds = ['bundle', 'image'].includes(spec.source?.kind)
  check(kinds, "source must have kind 'bundle' or 'image'", spec.source)
  check(['hot', 'cold'].includes(spec.mode), "mode must be 'hot' or 'cold'", spec.mode)
  check(/^[A-Za-z0-9_-]{1,63}$/.test(spec.id), 'id must be 1-63 of letters, digits, _ and -', spec.id)
  for (const [name, value] of Object.entries(spec.env))
    check(
      name !== '' && typeof value === 'string' && !/[=\0]/.test(name) && !value.includes('\0'),
      'env must be texts, with names without = and no zero byte',
      name,
    )
  check(spec.command?.length !== 0, 'command must name a program', spec.command)
  // What would open or lift a limit when it is forgotten or misspelled has no default.
  check(NETWORKS.includes(spec.network), `network must be one of ${NETWORKS.join(', ')}`, spec.network)
  check(Number.isFinite(spec.memory), 'memory must be a number of bytes, 0 for no limit', spec.memory)
  for (const name of ['memory', 'cpus', 'pids', 'tmpfsSize', 'startTimeout', 'timeout', 'logLimit'] as const)
    check(isAmount(spec[name] ?? 0), `${name} must be a number that is not negative`, spec[name])
  const { cpuShares = 1024, user = '0', volumes = [], extraHosts = {} } = spec
  check(cpuShares >= 2 && cpuShares <= 262_144, 'cpuShares must be 2-262144', cpuShares)
  check(/^\d{1,9}(:\d{1,9})?$/.test(user), 'user must be uid or uid:gid, in numbers', user)
  for (const { source, target } of volumes)
    for (const path of [source, target])
      check(isPlain(path), 'volumes must be absolute paths without . and ..', path)
  for (const [name, address] of Object.entries(extraHosts))
    check(
      /^[A-Za-z0-9.-]{1,253}$/.test(name) && /^[0-9A-Fa-f.:]{2,45}$/.test(address),
      'extraHosts must be names with addresses',
      `${name} ${address}`,
    )
}

const isAmount = (value: unknown): boolean => typeof value === 'number' && value >= 0

/** Also without what separates the parts of a mount in every runtime's own notation. */
const isPlain = (path: string): boolean =>
  isAbsolute(path) && normalize(path) === path && !/[\0\n:,]/.test(path) && path !== '/'

/** The optional fields that a spec makes use of. */
function askedOptions(spec: ContainerSpec): SpecOption[] {
  return SPEC_OPTIONS.filter((option) => {
    const value = spec[option]
    return typeof value === 'object' ? Object.keys(value).length > 0 : value !== undefined && value !== false
  })
}
