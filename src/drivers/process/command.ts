import { resolve } from 'node:path'
import type { ContainerSpec } from '../driver.ts'
import { SOCKET_NAME } from '../socket.ts'

/** Where a container's parts are: real paths, without links. */
export interface Places {
  readonly node: string
  /** The file that runs a bundle's entry. */
  readonly bootstrap: string
  readonly bundle: string
  /** The JavaScript of its TypeScript. */
  readonly stripped?: string | undefined
  /** For its socket, read and write. */
  readonly io: string
  /** Its home and its temporary files, read and write. */
  readonly tmp: string
}

export interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** What to spawn for a container. The environment is the spec's, and four variables that programs rely on. */
export function commandOf(spec: ContainerSpec, places: Places): Command {
  const { bundle, io, tmp, node, bootstrap, stripped } = places
  const defaults = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: tmp, TMPDIR: tmp }
  const listener = spec.mode === 'hot' ? { FN_LISTENER: `unix:${io}/${SOCKET_NAME}` } : {}
  return {
    argv: argvOf(
      spec.command,
      [node, ...nodeFlags(spec)],
      [bootstrap, ...(stripped === undefined ? [] : [`--stripped=${stripped}`]), bundle],
    ),
    env: { ...defaults, ...spec.env, ...listener },
    cwd: resolve(bundle, spec.workDir ?? ''),
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

/** The size of the heap is advice. Nothing is forbidden: what runs here runs in a container too (decision 021). */
function nodeFlags({ memory }: ContainerSpec): string[] {
  return [
    ...(memory > 0 ? [`--max-old-space-size=${Math.max(1, Math.floor(memory / 1024 ** 2))}`] : []),
    // About flags that the function's owner did not choose, and about a package.json that a single file does not need.
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
  ]
}
