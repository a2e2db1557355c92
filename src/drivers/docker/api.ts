import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { EngineInfo } from './capabilities.ts'
import type { EngineRequest, Upgrade } from './client.ts'

/** All that is asked of an engine, in the words of its API 1.41. Ids are safe in paths; references are encoded. */
export const api = {
  version: (): EngineRequest<EngineVersion> => get('/version'),
  info: (): EngineRequest<EngineInfo> => get('/info'),

  containers: (label?: string): EngineRequest<readonly ContainerSummary[]> =>
    get('/containers/json', { all: true, filters: label && JSON.stringify({ label: [label] }) }),
  create: (settings: ContainerSettings, name?: string): EngineRequest<Made> => ({
    ...post('/containers/create', { name }),
    body: settings,
    read: json,
  }),
  inspect: (id: string): EngineRequest<ContainerInfo> => get(`/containers/${id}/json`),
  start: (id: string): EngineRequest<void> => post(`/containers/${id}/start`),
  /** Answered when the container does not run (any more). */
  wait: (id: string): EngineRequest<void> => post(`/containers/${id}/wait`, { condition: 'not-running' }),
  kill: (id: string): EngineRequest<void> => post(`/containers/${id}/kill`, { signal: 'SIGKILL' }),
  pause: (id: string): EngineRequest<void> => post(`/containers/${id}/pause`),
  unpause: (id: string): EngineRequest<void> => post(`/containers/${id}/unpause`),
  /** With its volumes, whatever its state. */
  remove: (id: string): EngineRequest<void> => drop(`/containers/${id}`, { force: true, v: true }),
  /** A line of JSON about every second, until the container ends. */
  stats: (id: string): EngineRequest<Readable> => ({
    ...get<Readable>(`/containers/${id}/stats`, { stream: true }),
    read: (res) => res,
  }),
  /** What `path` is in a container, as an archive. */
  archive: (id: string, path: string): EngineRequest<string> => ({
    ...get<string>(`/containers/${id}/archive`, { path }),
    read: text,
  }),
  attach: (id: string, streams: AttachedStreams): Upgrade => ({
    path: `/containers/${id}/attach`,
    query: { stream: 1, ...streams },
  }),

  images: (): EngineRequest<readonly ImageSummary[]> => get('/images/json'),
  inspectImage: (ref: string): EngineRequest<ImageInfo> => get(`/images/${encodeURI(ref)}/json`),
  removeImage: (ref: string): EngineRequest<void> => drop(`/images/${encodeURI(ref)}`),
  /** A line of JSON for each step. */
  pull: (fromImage: string, tag: string | undefined, auth?: string): EngineRequest<Readable> => ({
    ...post('/images/create', { fromImage, tag }),
    ...(auth !== undefined && { headers: { 'X-Registry-Auth': auth } }),
    read: (res) => res,
  }),
  /** Gives it what `docker save` made. What went wrong is said in the answer. */
  load: (archive: Readable): EngineRequest<string> => ({
    ...post('/images/load'),
    body: archive,
    read: text,
  }),
  /** Makes an image of the files of an archive. */
  importFiles: (archive: Readable): EngineRequest<string> => ({
    ...post('/images/create', { fromSrc: '-' }),
    body: archive,
    read: text,
  }),
} as const

type Query = EngineRequest<unknown>['query'] & {}

const json = async <T>(res: IncomingMessage): Promise<T> => JSON.parse(await text(res))

async function nothing(res: IncomingMessage): Promise<void> {
  await text(res)
}

const get = <T>(path: string, query: Query = {}): EngineRequest<T> => ({
  method: 'GET',
  path,
  query,
  read: json,
})
const post = (path: string, query: Query = {}): EngineRequest<void> => ({
  method: 'POST',
  path,
  query,
  read: nothing,
})
const drop = (path: string, query: Query = {}): EngineRequest<void> => ({
  method: 'DELETE',
  path,
  query,
  read: nothing,
})

/** Every stream is named: podman takes one that is not for wanted. */
export interface AttachedStreams {
  readonly stdin: 0 | 1
  readonly stdout: 0 | 1
  readonly stderr: 0 | 1
  /** Empty: none, which podman would look for in all input. */
  readonly detachKeys?: ''
}

export interface EngineVersion {
  readonly ApiVersion: string
  readonly Components?: readonly { readonly Name: string }[] | null
}

export interface Made {
  readonly Id: string
}

export interface ContainerSummary {
  readonly Id: string
  readonly ImageID: string
  readonly Names: readonly string[]
  readonly Labels: Readonly<Record<string, string>>
  /** `running` and others. */
  readonly State: string
}

/** As far as it is used. */
export interface ContainerInfo {
  readonly Id: string
  readonly Name: string
  readonly Config: ContainerSettings & { readonly Labels: Readonly<Record<string, string>> }
  readonly HostConfig: HostConfig
  readonly State: ContainerState
  readonly Mounts: readonly { readonly Type: string }[]
}

export interface ContainerState {
  readonly Running: boolean
  readonly Paused: boolean
  readonly Pid: number
  readonly ExitCode: number
  readonly OOMKilled: boolean
  readonly Error: string
}

export interface ImageSummary {
  readonly Id: string
  readonly Size: number
  readonly RepoTags?: readonly string[] | null
}

export interface ImageInfo {
  readonly Id: string
  readonly Config?: { readonly Volumes?: Readonly<Record<string, object>> | null } | null
}

export interface ContainerSettings {
  readonly Image: string
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly WorkingDir?: string
  readonly Hostname?: string
  readonly User?: string
  readonly Env?: readonly string[]
  readonly Labels?: Readonly<Record<string, string>>
  readonly AttachStdin?: boolean
  readonly AttachStdout?: boolean
  readonly AttachStderr?: boolean
  readonly OpenStdin?: boolean
  readonly StdinOnce?: boolean
  readonly HostConfig?: HostConfig
}

export interface HostConfig {
  readonly NetworkMode?: string
  readonly ReadonlyRootfs?: boolean
  readonly CapDrop?: readonly string[]
  readonly SecurityOpt?: readonly string[]
  readonly Privileged?: boolean
  readonly LogConfig?: { readonly Type: string; readonly Config: object }
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[]
  readonly PidsLimit?: number
  readonly Memory?: number
  readonly MemorySwap?: number
  readonly NanoCpus?: number
  readonly CpuShares?: number
  readonly ExtraHosts?: readonly string[]
  readonly Mounts?: readonly Mount[]
  readonly Binds?: readonly string[]
  readonly Tmpfs?: Readonly<Record<string, string>>
}

export interface Mount {
  readonly Type: 'bind'
  readonly Source: string
  readonly Target: string
  readonly ReadOnly: boolean
}
