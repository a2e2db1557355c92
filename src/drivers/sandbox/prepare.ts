import { existsSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { messageOf } from '../../core/errors.ts'
import type { ImageFolder } from '../archive/archive.ts'
import { type ContainerSpec, DriverError, type Volume } from '../driver.ts'
import { IO_DIR } from '../io.ts'
import { userOf } from '../spec.ts'
import { BUNDLE_DIR, type Mount, type Room, STRIPPED_DIR } from './bubblewrap.ts'
import type { Folder } from './folder.ts'
import { readNames } from './nameservers.ts'
import { type Program, programOfBundle, programOfImage, type SandboxRuntime } from './program.ts'
import { reaches } from './reach.ts'
import { makeMountPoint } from './rootfs.ts'
import type { User } from './users.ts'

export interface Surroundings {
  readonly runtime: SandboxRuntime | undefined
  readonly images: ImageFolder | undefined
  readonly folder: Folder
  /** `undefined`: this process's own. */
  readonly user: User | undefined
  /** Whether a user can read a bundle where it lies. */
  readonly reads: (dir: string, user: User) => Promise<boolean>
  readonly signal: AbortSignal
}

const TMPFS_SIZE = 64 * 1024 ** 2

/**
 * Lays out what a container sees and what it runs. What its user cannot reach is copied for it or refused.
 * @throws DriverError
 */
export async function furnish(
  spec: ContainerSpec,
  around: Surroundings,
): Promise<{ room: Room; argv: Program['argv'] }> {
  const volumes = await findVolumes(spec.volumes ?? [], around.user)
  const { rootfs, bundle, stripped, program } = await findSource(spec, around)
  const files = await writeFiles(spec, around.folder)
  const room: Room = {
    rootfs,
    bundle,
    stripped,
    files,
    volumes,
    tmpfsSize: spec.tmpfsSize || TMPFS_SIZE,
    ...userOf(spec),
    hostname: spec.id,
    network: spec.network,
    env: program.env,
    workDir: program.workDir,
  }
  makeMountPoints(room)
  return { room, argv: program.argv }
}

interface Found {
  readonly rootfs: string
  readonly bundle?: string
  readonly stripped?: string
  readonly program: Program
}

async function findSource(spec: ContainerSpec, around: Surroundings): Promise<Found> {
  const { runtime, images, signal } = around
  const { source } = spec
  if (source.kind === 'bundle' && runtime) {
    const bundle = await findBundle('bundle', source.dir, around)
    const { stripped: beside } = source
    const stripped = beside === undefined ? undefined : await findBundle('stripped', beside, around)
    const program = programOfBundle(spec, runtime)
    await checkWorkDir(bundle, program.workDir)
    return { rootfs: runtime.dir, bundle, ...(stripped !== undefined && { stripped }), program }
  }
  if (source.kind === 'image' && images) {
    const image = await images.open(source.ref, signal)
    return { rootfs: image.rootfs, program: programOfImage(spec, image) }
  }
  throw new DriverError('unsupported', `the sandbox driver runs no ${source.kind}s here`)
}

/** The bundle, or what is beside it, as the container's user can read it: where it lies, or a copy. */
async function findBundle(
  name: 'bundle' | 'stripped',
  dir: string,
  { folder, user, reads, signal }: Surroundings,
): Promise<string> {
  const bundle = await findFolder('the bundle', dir)
  if (!user || (await reads(bundle, user))) return bundle
  return folder.stage(name, bundle, signal)
}

async function checkWorkDir(bundle: string, workDir: string): Promise<void> {
  if (!isBelow(workDir, BUNDLE_DIR)) return
  const found = await stat(join(bundle, relative(BUNDLE_DIR, workDir))).catch(() => undefined)
  if (!found?.isDirectory())
    throw new DriverError(
      'bad-spec',
      `workDir must be a folder of the bundle, got ${JSON.stringify(workDir)}`,
    )
}

async function findVolumes(volumes: readonly Volume[], user: User | undefined): Promise<Mount[]> {
  const found: Mount[] = []
  for (const { source, target, readOnly } of volumes) {
    if (RESERVED.some((path) => isBelow(target, path)) || target === '/tmp')
      throw new DriverError(
        'bad-spec',
        `volumes must not be mounted at ${target}: the sandbox's own is there`,
      )
    const folder = await findFolder(`the volume ${source}`, source)
    if (user && !(await reaches(folder, user, !readOnly)))
      throw new DriverError(
        'bad-spec',
        `the volume ${source} must be ${readOnly ? 'readable' : 'readable and writable'} for everybody: ` +
          'a container has a user of its own',
      )
    found.push({ source: folder, target, readOnly })
  }
  return found
}

const RESERVED = ['/proc', '/dev', '/sys', IO_DIR]

const isBelow = (path: string, folder: string): boolean => `${path}/`.startsWith(`${folder}/`)

async function findFolder(what: string, dir: string): Promise<string> {
  try {
    const folder = await realpath(dir)
    if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`)
    return folder
  } catch (error) {
    throw new DriverError('bad-spec', `cannot use ${what}: ${messageOf(error)}`, { cause: error })
  }
}

/** The files that stand in the place of the rootfs's own. */
async function writeFiles(spec: ContainerSpec, folder: Folder): Promise<Record<string, string>> {
  const { id, network, extraHosts = {} } = spec
  const hosts = { localhost: '127.0.0.1', 'ip6-localhost': '::1', [id]: '127.0.1.1', ...extraHosts }
  const lines = Object.entries(hosts).map(([name, address]) => `${address}\t${name}\n`)
  const files = { '/etc/hosts': await folder.write('hosts', lines.join('')) }
  const conf = '/etc/resolv.conf'
  if (network === 'outbound') return { ...files, [conf]: await folder.write('resolv.conf', readNames().text) }
  if (network === 'none' || !existsSync(conf)) return files
  return { ...files, [conf]: await folder.copy('resolv.conf', conf) }
}

/** In the rootfs: a folder of temporary files is empty, and takes any. */
function makeMountPoints({ rootfs, bundle, stripped, files, volumes }: Room): void {
  for (const target of ['/proc', '/dev', '/tmp']) makeMountPoint(rootfs, target, 'folder')
  if (bundle !== undefined) makeMountPoint(rootfs, BUNDLE_DIR, 'folder')
  if (stripped !== undefined) makeMountPoint(rootfs, STRIPPED_DIR, 'folder')
  for (const target of Object.keys(files)) makeMountPoint(rootfs, target, 'file')
  for (const { target } of volumes)
    if (bundle !== undefined && isBelow(target, BUNDLE_DIR))
      throw new DriverError('bad-spec', `volumes must not be mounted in the bundle, got ${target}`)
    else if (!isBelow(target, '/tmp')) makeMountPoint(rootfs, target, 'folder')
}
