/**
 * The drivers as a library of their own, `sluice/drivers`: make containers of a Docker engine, of bubblewrap or of
 * plain processes by one port, and prove a driver of your own by its contract.
 */
import { join } from 'node:path'

export { type Clock, systemClock, type VirtualClock, virtualClock } from '../core/clock.ts'
export { SluiceError } from '../core/errors.ts'
export { type Random, seededRandom, systemRandom } from '../core/random.ts'
export { parseBytes } from '../core/units.ts'
export { type ImageFolder, type ImageFolderOptions, openImages } from './archive/archive.ts'
export { CONTRACT_IMAGE } from './contract/images.ts'
export { type Credentials, type CredentialsOptions, readCredentials } from './docker/credentials.ts'
export { type DockerDriverOptions, dockerDriver } from './docker/docker.ts'
export type { PullProgress } from './docker/progress.ts'
export type { RuntimeImage } from './docker/runtime-image.ts'
export { type DriverContractOptions, driverContract } from './driver.contract.ts'
export * from './driver.ts'
export { type ImageReference, parseImage } from './image.ts'
export { type MockAnswer, type MockOptions, type MockRequest, mockDriver } from './mock/mock.ts'
export { type ProcessDriverOptions, processDriver } from './process/process.ts'
export { packRuntime } from './runtime/image.ts'
export { buildRuntime, type Runtime, type RuntimeOptions } from './runtime/runtime.ts'
export { type SandboxDriverOptions, sandboxDriver } from './sandbox/sandbox.ts'
export { average, decimate } from './stats.ts'

/** Folder with what runs a bundle's entry: the `fdk` of {@link RuntimeOptions}. */
export const FDK_DIR: string = join(import.meta.dirname, '../fdk')
