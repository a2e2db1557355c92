import type { ContainerSpec, Volume } from '../driver.ts'
import { IO_DIR, IO_SIZE } from '../io.ts'
import { SOCKET_NAME } from '../socket.ts'
import type { ContainerSettings, HostConfig, Mount } from './api.ts'
import type { RuntimeImage } from './runtime-image.ts'

/** What surrounds a container, besides its spec. */
export interface Surroundings {
  /** Whose it is: see {@link OWNER}. */
  readonly owner: string
  /** The image it is made of. */
  readonly image: string
  /** Folders that the image declares as volumes. */
  readonly declared: readonly string[]
  readonly runtime: RuntimeImage | undefined
  readonly podman: boolean
  /**
   * The container's own folder on this machine, a hot one's socket is in `io` of it; without one the socket is in a
   * small file system of the container's.
   */
  readonly dir: string | undefined
  /** Id of the container whose network it joins. */
  readonly holder: string | undefined
}

/** Label of everything that a driver makes; its value names the data folder. */
export const OWNER = 'sluice'
/** Label with the folder that goes with a container. */
export const FOLDER = 'sluice.dir'
/** Before a spec's labels, so that none of them can be taken for ours. */
const LABEL = 'sluice.label.'

const DEFAULT_PIDS = 256
const DEFAULT_TMPFS = 64 * 1024 ** 2
const PLENTY = 16_384

export const containerName = ({ id }: Pick<ContainerSpec, 'id'>): string => `sluice-${id}`

/** The body of the request that creates a container. */
export function settingsOf(spec: ContainerSpec, around: Surroundings): ContainerSettings {
  const { dir, holder, image, owner } = around
  const cold = spec.mode === 'cold'
  return {
    Image: image,
    ...programOf(spec, around),
    Env: Object.entries(environmentOf(spec)).map(([name, value]) => `${name}=${value}`),
    Labels: {
      ...Object.fromEntries(Object.entries(spec.labels).map(([name, value]) => [LABEL + name, value])),
      [OWNER]: owner,
      ...(dir !== undefined && { [FOLDER]: dir }),
    },
    User: spec.user ?? '1000:1000',
    // One that joins a network has its holder's, and the machine's network goes with the machine's name.
    ...(holder === undefined && spec.network !== 'host' && { Hostname: 'fn' }),
    AttachStdin: cold,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: cold,
    StdinOnce: cold,
    HostConfig: { ...confinement(around), ...limitsOf(spec), ...openingsOf(spec, around) },
  }
}

/** What no container may. */
export const confinement = ({ podman }: Pick<Surroundings, 'podman'>): HostConfig => ({
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges'],
  LogConfig: { Type: 'none', Config: {} },
  Ulimits: [
    { Name: 'core', Soft: 0, Hard: 0 },
    { Name: 'nofile', Soft: PLENTY, Hard: PLENTY },
    // Unless told, podman raises it beyond what it may itself. It counts all of a user's, so it is no limit of ours.
    ...(podman ? [{ Name: 'nproc', Soft: PLENTY, Hard: PLENTY }] : []),
  ],
})

/** Where a container sees the JavaScript of its bundle's TypeScript. */
const STRIPPED = '/sluice/stripped'

function programOf(
  { command, source, workDir }: ContainerSpec,
  { runtime }: Surroundings,
): Omit<ContainerSettings, 'Image'> {
  const place: { WorkingDir?: string } = workDir === undefined ? {} : { WorkingDir: workDir }
  if (source.kind === 'image' || !runtime)
    return command ? { ...place, Entrypoint: [...command], Cmd: [] } : place
  const stripped = source.stripped === undefined ? [] : [`--stripped=${STRIPPED}`]
  const flags = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON']
  const entry = ['node', ...flags, runtime.bootstrap, ...stripped, '/function']
  const [program, ...rest] = command ?? entry
  return {
    WorkingDir: '/function',
    ...place,
    Entrypoint: [program === 'node' ? runtime.node : (program as string), ...rest],
    Cmd: [],
  }
}

function environmentOf({ env, mode }: ContainerSpec): Record<string, string> {
  const listener = mode === 'hot' ? { FN_LISTENER: `unix:${IO_DIR}/${SOCKET_NAME}` } : {}
  return { HOME: '/tmp', ...env, ...listener }
}

function limitsOf({ cpuShares, cpus, memory, pids }: ContainerSpec): HostConfig {
  return {
    PidsLimit: pids || DEFAULT_PIDS,
    ...(memory > 0 && { Memory: memory, MemorySwap: memory }),
    ...(cpus > 0 && { NanoCpus: Math.round(cpus * 1e9) }),
    ...(cpuShares !== undefined && { CpuShares: cpuShares }),
  }
}

/** Where a container reaches out of itself. */
function openingsOf(spec: ContainerSpec, { declared, dir, holder, podman }: Surroundings): HostConfig {
  const { extraHosts = {}, network, source, volumes = [], writableRoot = false } = spec
  const tmpfs = `rw,nosuid,nodev,exec,mode=1777,size=${spec.tmpfsSize || DEFAULT_TMPFS}`
  const mounts = [
    ...volumes.map(({ source, target, readOnly }) => bind(source, target, readOnly)),
    ...(source.kind === 'bundle' ? [bind(source.dir, '/function', true)] : []),
    ...(source.kind === 'bundle' && source.stripped !== undefined
      ? [bind(source.stripped, STRIPPED, true)]
      : []),
    ...(spec.mode === 'hot' && dir !== undefined ? [bind(`${dir}/io`, IO_DIR, false)] : []),
  ]
  return {
    ReadonlyRootfs: !writableRoot,
    NetworkMode: holder === undefined ? NETWORKS[network] : `container:${holder}`,
    ...(Object.keys(extraHosts).length > 0 && {
      ExtraHosts: Object.entries(extraHosts).map(([name, address]) => `${name}:${address}`),
    }),
    Mounts: mounts,
    Tmpfs: {
      ...bounded(declared, volumes, tmpfs),
      '/tmp': tmpfs,
      ...(spec.mode === 'hot' && dir === undefined && SOCKET_FOLDER),
      ...(podman && !writableRoot && CLOSED),
    },
  }
}

/** Of each volume that an image declares an engine would make a folder of its disk, writable and without a size. */
const bounded = (declared: readonly string[], volumes: readonly Volume[], tmpfs: string) =>
  Object.fromEntries(
    declared.filter((path) => !volumes.some(({ target }) => target === path)).map((path) => [path, tmpfs]),
  )

/** Podman makes these writable, and without a size, where the rest is not. */
const CLOSED = { '/run': 'ro,size=4096,mode=755', '/var/tmp': 'ro,size=4096,mode=755' } as const

/** Any user of the container may make its socket in it. */
export const SOCKET_FOLDER: Readonly<Record<string, string>> = {
  [IO_DIR]: `rw,nosuid,nodev,noexec,mode=1777,size=${IO_SIZE}`,
}

const NETWORKS = { none: 'none', outbound: 'bridge', host: 'host' } as const

/** A mount, not a `Binds` text: no character of a path means anything, and a missing folder is not made. */
const bind = (Source: string, Target: string, ReadOnly: boolean): Mount => ({
  Type: 'bind',
  Source,
  Target,
  ReadOnly,
})
