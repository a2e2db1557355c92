import { dirname, resolve } from 'node:path'
import type { ContainerSpec } from '../driver.ts'
import { SOCKET_NAME } from '../socket.ts'

/** Where a container's parts are: real paths, without links. */
export interface Places {
  readonly node: string
  /** The file that runs a bundle's entry. */
  readonly bootstrap: string
  readonly bundle: string
  /** For its socket, read and write. */
  readonly io: string
  /** Its home and its temporary files, read and write. */
  readonly tmp: string
  /** The bundle's entry is a script for another interpreter, which takes Node's place. */
  readonly isScript: boolean
}

export interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Cannot start other processes, because Node does not let it. */
  readonly alone: boolean
}

/** What to spawn for a container. The environment is the spec's, and four variables that programs rely on. */
export function commandOf(spec: ContainerSpec, places: Places): Command {
  const { bundle, io, tmp, node, bootstrap } = places
  const defaults = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: tmp, TMPDIR: tmp }
  const listener = spec.mode === 'hot' ? { FN_LISTENER: `unix:${io}/${SOCKET_NAME}` } : {}
  return {
    argv: argvOf(spec.command, [node, ...nodeFlags(spec, places)], [bootstrap, bundle]),
    env: { ...defaults, ...spec.env, ...listener },
    cwd: resolve(bundle, spec.workDir ?? ''),
    alone: spec.command === undefined && spec.env['NODE_OPTIONS'] === undefined && !places.isScript,
  }
}

/** The driver's Node runs the bundle's entry and every command that says `node`; others run as they are. */
function argvOf(
  command: readonly string[] | undefined,
  node: readonly string[],
  entry: readonly string[],
): [string, ...string[]] {
  const [program, ...rest] = command ?? ['node', ...entry]
  return (program === 'node' ? [...node, ...rest] : [program, ...rest]) as [string, ...string[]]
}

/**
 * Node's permission model: no files but the container's own, no child processes, workers or addons.
 * The network must be open, because listening on a unix socket counts as network. It ends where Node does: with a
 * script there is nothing to permit.
 */
function nodeFlags({ memory }: ContainerSpec, { bundle, bootstrap, io, tmp, isScript }: Places): string[] {
  if (isScript) return []
  return [
    ...(memory > 0 ? [`--max-old-space-size=${Math.max(1, Math.floor(memory / 1024 ** 2))}`] : []),
    // About flags that the function's owner did not choose, and about a package.json that a single file does not need.
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
    '--permission',
    '--allow-net',
    ...[bundle, dirname(bootstrap), io, tmp].map((path) => `--allow-fs-read=${path}`),
    ...[io, tmp].map((path) => `--allow-fs-write=${path}`),
  ]
}
