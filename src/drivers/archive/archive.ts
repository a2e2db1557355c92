import { join } from 'node:path'
import { makeFolder } from '../../host/folder.ts'
import { parseImage } from '../image.ts'
import { catalog } from './catalog.ts'
import { type ImageConfig, resolveUser } from './config.ts'
import { singleFlight } from './flight.ts'
import { type ArchivedImage, isNamed } from './manifest.ts'
import { asDriverError, missing } from './refuse.ts'
import { makeRoot, type UnpackLimits } from './root.ts'

export interface ImageFolderOptions {
  /**
   * Folder with images that somebody has put there: OCI layouts (folders), `docker save` and `oci-archive` tars,
   * also compressed. It may be absent, and change at any time.
   */
  readonly dir: string
  /** Folder to unpack into, one folder an image. */
  readonly cache: string
  /** What one image may hold. @default 8 GiB, 1,000,000 entries */
  readonly limits?: Partial<UnpackLimits>
}

/** Images of a folder, without an engine. */
export interface ImageFolder {
  /**
   * The root file system of an image, unpacked once. Aborting ends the work unless somebody else waits for it too.
   * @throws DriverError `image-missing` with the names that are there, `bad-spec` when it is broken, `no-space`
   */
  open(ref: string, signal: AbortSignal): Promise<OpenImage>
}

export interface OpenImage {
  /** Folder: ours, readable by all, writable by nobody else; without set-user bits, devices and owners. */
  readonly rootfs: string
  readonly config: ImageConfig
}

const LIMITS: UnpackLimits = { bytes: 8 * 1024 ** 3, entries: 1_000_000 }

export function openImages({ dir, cache, limits }: ImageFolderOptions): ImageFolder {
  const images = catalog(dir)
  const unpacking = singleFlight<OpenImage>()

  const unpack = async (image: ArchivedImage, signal: AbortSignal): Promise<OpenImage> => {
    const target = join(cache, image.id)
    await makeFolder(target, (half) => makeRoot(half, image, { ...LIMITS, ...limits }, signal))
    const rootfs = join(target, 'rootfs')
    const { diffIds: _, ...config } = image.config
    return { rootfs, config: { ...config, user: await resolveUser(rootfs, config.user) } }
  }

  return {
    async open(ref, signal) {
      try {
        const wanted = parseImage(ref)
        const { found, broken } = await images.list(signal)
        const image = found.find((one) => isNamed(one, wanted))
        if (!image) throw missing(ref, found, broken)
        return await unpacking(image.id, (shared) => unpack(image, shared), signal)
      } catch (error) {
        throw asDriverError(error, `image ${ref} cannot be opened`, signal)
      }
    },
  }
}
