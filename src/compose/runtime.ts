import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SluiceError } from '../core/errors.ts'
import { DriverError } from '../drivers/driver.ts'
import { buildRuntime, type Runtime } from '../drivers/runtime/runtime.ts'
import { makePath } from '../host/folder.ts'

export { packRuntime, runtimeImage, sizeOfRuntime } from '../drivers/runtime/image.ts'

const FDK = fileURLToPath(new URL('../fdk', import.meta.url))

/**
 * The base runtime of a data folder, made when it is missing; also while a node works in that folder.
 * @throws SluiceError `driver` when this machine lacks something for it, `data-dir` when the folder cannot be used
 */
export async function buildBaseRuntime(
  dataDir: string,
  options: { readonly signal?: AbortSignal; readonly onStep?: (step: string) => void } = {},
): Promise<Runtime> {
  try {
    makePath(dataDir, 0o711)
    return await buildRuntime({ ...options, dir: join(dataDir, 'runtime'), fdk: FDK })
  } catch (error) {
    if (error instanceof DriverError) throw new SluiceError('driver', error.message, { cause: error })
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined || code === 'ABORT_ERR') throw error
    throw new SluiceError('data-dir', undefined, { detail: message, cause: error })
  }
}
