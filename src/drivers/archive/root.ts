import { createHash, type Hash } from 'node:crypto'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bytes, decompress } from './bytes.ts'
import { enter, look, makeFolderAt } from './inside.ts'
import { unpackLayer } from './layer.ts'
import type { ArchivedImage } from './manifest.ts'
import { refuse } from './refuse.ts'

export interface UnpackLimits {
  /** Of all layers, uncompressed. */
  readonly bytes: number
  /** Files, folders and links of all layers. */
  readonly entries: number
}

/**
 * Makes `<dir>/rootfs` from an image's layers, each checked against its digest.
 * @throws DriverError `bad-spec` when one is broken, leaves the root or is beyond a limit
 */
export async function makeRoot(
  dir: string,
  image: ArchivedImage,
  limits: UnpackLimits,
  signal: AbortSignal,
): Promise<void> {
  const root = join(dir, 'rootfs')
  await mkdir(root)
  const meter = meterOf(limits, signal)
  for (const [at, path] of image.layers.entries()) {
    if (!image.place.has(path)) throw refuse(`it has no ${path}`)
    const hash = createHash('sha256')
    const plain = watch(decompress(image.place.read(path, signal)), hash, meter)
    await unpackLayer(root, plain, () => meter.entry())
    if (`sha256:${hash.digest('hex')}` !== image.config.diffIds[at])
      throw refuse(`${path} is not what its digest says`)
  }
  await addMountPoints(root)
  await enter(root, image.config.workDir.split('/'))
  await chmod(root, 0o755)
  await chmod(dir, 0o711)
}

interface Meter {
  bytes(count: number): void
  entry(): void
}

function meterOf(limits: UnpackLimits, signal: AbortSignal): Meter {
  let bytes = 0
  let entries = 0
  return {
    bytes(count) {
      signal.throwIfAborted()
      bytes += count
      if (bytes > limits.bytes) throw refuse(`it unpacks to more than ${limits.bytes} bytes`)
    },
    entry() {
      signal.throwIfAborted()
      if (++entries > limits.entries) throw refuse(`it has more than ${limits.entries} entries`)
    },
  }
}

async function* watch(bytes: Bytes, hash: Hash, meter: Meter): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    meter.bytes(chunk.length)
    hash.update(chunk)
    yield chunk
  }
}

const MOUNT_POINTS = ['dev', 'etc', 'proc', 'sys', 'tmp']
const MOUNTED_FILES = ['hostname', 'hosts', 'resolv.conf']

/**
 * What is mounted over must be there, since the root is mounted read-only; and must be real, since a link there
 * would be followed from outside.
 */
async function addMountPoints(root: string): Promise<void> {
  for (const name of MOUNT_POINTS) {
    const path = join(root, name)
    const found = await look(path)
    if (found?.isDirectory()) continue
    if (found && name === 'etc') throw refuse('its etc is no folder')
    await rm(path, { force: true })
    await makeFolderAt(path)
  }
  for (const name of MOUNTED_FILES) {
    const path = join(root, 'etc', name)
    if ((await look(path))?.isFile()) continue
    await rm(path, { recursive: true, force: true })
    await writeFile(path, '', { flag: 'wx' })
    await chmod(path, 0o644)
  }
}
