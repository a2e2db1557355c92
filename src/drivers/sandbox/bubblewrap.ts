import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Network } from '../driver.ts'
import { IO_DIR, IO_SIZE } from '../io.ts'
import { findProgram } from './installed.ts'

/** What a container sees of files, and who it is. All sources are real paths that its user can reach. */
export interface Room {
  readonly rootfs: string
  /** Read-only at /function. */
  readonly bundle?: string | undefined
  /** Read-only at /sluice/stripped. */
  readonly stripped?: string | undefined
  /** Files that stand in the place of the rootfs's own: path inside → source. */
  readonly files: Readonly<Record<string, string>>
  readonly volumes: readonly Mount[]
  /** Bytes of /tmp. */
  readonly tmpfsSize: number
  readonly uid: number
  readonly gid: number
  readonly hostname: string
  readonly network: Network
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
}

export interface Mount {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

/** Descriptors of bubblewrap, from 3 on, in the order of its stdio. */
export const STATUS_FD = 3
export const BLOCK_FD = 4
export const ARGS_FD = 5
export const FILTER_FD = 6

export const BUNDLE_DIR = '/function'
/** The JavaScript of the bundle's TypeScript. */
export const STRIPPED_DIR = '/sluice/stripped'

/** Bytes of /dev/shm, as container engines have it. */
const SHM_SIZE = 64 * 1024 ** 2

/**
 * What confines a container, on the command line; where the mounts and the environment come from is read from
 * {@link ARGS_FD}, so that no secret shows in a list of processes, and that nothing runs unconfined when this
 * process dies half-way through writing.
 */
export function confinement(
  { uid, gid, network }: Pick<Room, 'uid' | 'gid' | 'network'>,
  filtered: boolean,
): string[] {
  // The first process inside is bubblewrap's own: it dies with its parent, and a function cannot tell it not to.
  return [
    '--unshare-all',
    ...(network === 'host' ? ['--share-net'] : []),
    ...['--uid', `${uid}`, '--gid', `${gid}`],
    '--die-with-parent',
    '--new-session',
    ...['--cap-drop', 'ALL'],
    '--clearenv',
    ...['--json-status-fd', `${STATUS_FD}`],
    ...['--block-fd', `${BLOCK_FD}`],
    ...(filtered ? ['--seccomp', `${FILTER_FD}`] : []),
    ...['--args', `${ARGS_FD}`],
  ]
}

export function furniture(room: Room, masks: readonly string[]): string[] {
  const { rootfs, bundle, stripped, files, volumes, tmpfsSize, hostname, env, workDir } = room
  return [
    ...['--ro-bind', rootfs, '/'],
    ...['--proc', '/proc', ...masks],
    ...['--dev', '/dev', ...tmpfs('/dev/shm', SHM_SIZE, '1777')],
    // Terminals are the whole machine's, and one container could take them all: it has none.
    ...[...tmpfs('/dev/pts', 4096, '0555'), '--remount-ro', '/dev/pts', '--remount-ro', '/dev'],
    ...tmpfs('/tmp', tmpfsSize, '1777'),
    ...tmpfs(IO_DIR, IO_SIZE, '0770'),
    ...(bundle === undefined ? [] : ['--ro-bind', bundle, BUNDLE_DIR]),
    ...(stripped === undefined ? [] : ['--ro-bind', stripped, STRIPPED_DIR]),
    ...Object.entries(files).flatMap(([target, source]) => ['--ro-bind', source, target]),
    ...volumes.flatMap(({ source, target, readOnly }) => [readOnly ? '--ro-bind' : '--bind', source, target]),
    ...['--hostname', hostname, '--chdir', workDir],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
  ]
}

const tmpfs = (path: string, size: number, mode: string): string[] => [
  ...['--perms', mode, '--size', `${size}`],
  ...['--tmpfs', path],
]

/** What container engines hide of /proc, and what they make read-only: a kernel has some of it. */
const HIDDEN_FILES = ['kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug']
const HIDDEN_FOLDERS = ['acpi', 'asound', 'scsi']
const READ_ONLY = ['sys', 'bus', 'fs', 'irq', 'pressure', 'sysrq-trigger']

/** A file bound without devices cannot be opened: better than empty. */
export function maskProc(proc = '/proc'): string[] {
  const here = (names: readonly string[]) => names.filter((name) => existsSync(join(proc, name)))
  return [
    ...here(READ_ONLY).flatMap((name) => ['--ro-bind', `/proc/${name}`, `/proc/${name}`]),
    ...here(HIDDEN_FILES).flatMap((name) => ['--ro-bind', '/dev/null', `/proc/${name}`]),
    ...here(HIDDEN_FOLDERS).flatMap((name) => [
      ...tmpfs(`/proc/${name}`, 4096, '0555'),
      ...['--remount-ro', `/proc/${name}`],
    ]),
  ]
}

/** Path of the program, `undefined` where it is not installed. */
export const findBubblewrap = (places?: readonly string[]): string | undefined => findProgram('bwrap', places)
