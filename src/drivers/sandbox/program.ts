import { resolve } from 'node:path/posix'
import type { OpenImage } from '../archive/archive.ts'
import { type ContainerSpec, DriverError } from '../driver.ts'
import { IO_DIR } from '../io.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { SOCKET_NAME } from '../socket.ts'
import { BUNDLE_DIR, STRIPPED_DIR } from './bubblewrap.ts'

/** What runs bundles: a rootfs, with paths inside of Node and of the file that runs an entry. */
export type SandboxRuntime = Pick<Runtime, 'dir' | 'node' | 'bootstrap'>

/** What runs, all of it as seen from inside. */
export interface Program {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
}

const DEFAULTS = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp' }

/** A bundle's entry, or the spec's command in its folder; `node` means the runtime's. */
export function programOfBundle(spec: ContainerSpec, { node, bootstrap }: SandboxRuntime): Program {
  const { source } = spec
  const stripped = source.kind === 'bundle' && source.stripped !== undefined
  const entry = ['node', bootstrap, ...(stripped ? [`--stripped=${STRIPPED_DIR}`] : []), BUNDLE_DIR]
  const [name, ...rest] = spec.command ?? entry
  const argv = name === 'node' ? [node, ...nodeFlags(spec), ...rest] : [name, ...rest]
  return {
    argv: argv as [string, ...string[]],
    env: { ...DEFAULTS, ...spec.env, ...listener(spec) },
    workDir: resolve(BUNDLE_DIR, spec.workDir ?? ''),
  }
}

/** @throws DriverError `bad-spec` when neither the image nor the spec names a program */
export function programOfImage(spec: ContainerSpec, { config }: OpenImage): Program {
  const [name, ...rest] = spec.command ?? [...config.entrypoint, ...config.cmd]
  if (name === undefined)
    throw new DriverError('bad-spec', 'the image names no program, and the spec no command')
  return {
    argv: [name, ...rest],
    env: { ...DEFAULTS, ...config.env, ...spec.env, ...listener(spec) },
    workDir: resolve('/', config.workDir, spec.workDir ?? ''),
  }
}

/**
 * Node sizes its heap by its control group, which it cannot see in here. The whole of the memory: the kernel's limit
 * must be the one that a function runs into, since it is the one that is told from other ends.
 */
function nodeFlags({ memory }: ContainerSpec): string[] {
  return [
    ...(memory > 0 ? [`--max-old-space-size=${Math.max(1, Math.floor(memory / 1024 ** 2))}`] : []),
    // About a package.json that a single file does not need.
    '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
  ]
}

const listener = ({ mode }: ContainerSpec): Record<string, string> =>
  mode === 'hot' ? { FN_LISTENER: `unix:${IO_DIR}/${SOCKET_NAME}` } : {}
