import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../core/clock.ts'
import { messageOf, SluiceError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Random } from '../core/random.ts'
import type { DriverChoice } from '../core/words.ts'
import { type Driver, DriverError, type DriverName } from '../drivers/driver.ts'
import type { DockerEnvironment, NetworkEnvironment } from '../host/config.ts'

export interface DriverSettings {
  readonly driver: DriverChoice
  /** Absolute; the drivers keep their state in folders of it. */
  readonly dataDir: string
  /** Bytes of disk that images pulled by an engine may take. @default all are kept */
  readonly imageBudget?: number | undefined
  /** The role can be reached from other machines, so that a function may come from anybody. */
  readonly exposed: boolean
}

interface Surroundings {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly environment: { readonly docker: DockerEnvironment; readonly network: NetworkEnvironment }
}

/** Where engines listen when DOCKER_HOST does not say. */
const ENGINE_SOCKETS = ['/run/docker.sock', '/var/run/docker.sock']
const FDK = fileURLToPath(new URL('../fdk', import.meta.url))

/**
 * Opens the driver that was asked for. `auto` takes the first that works here of docker, sandbox and process, and
 * says why it passed over the others; the last only where no other machine can reach it.
 * @throws SluiceError `driver` with one line on what is missing
 */
export async function openDriver(settings: DriverSettings, around: Surroundings): Promise<Driver> {
  const { driver, exposed } = settings
  if (driver !== 'auto') {
    try {
      return await openers[driver](settings, around)
    } catch (error) {
      throw unusable(driver, error)
    }
  }
  const reasons: string[] = []
  for (const name of ['docker', 'sandbox'] as const) {
    try {
      return await openers[name](settings, around)
    } catch (error) {
      if (!isMissing(error)) throw error
      reasons.push(`${name}: ${error.message}`)
    }
  }
  if (exposed)
    throw new SluiceError('driver', 'no driver here keeps functions apart', {
      detail: `${reasons.join('; ')}; to run functions without isolation all the same, say --driver process`,
    })
  around.log.warn({ reasons }, 'no container engine and no sandbox here: functions run as plain processes')
  return openers.process(settings, around)
}

/** What a machine lacks, rather than what went wrong on it. */
const isMissing = (error: unknown): error is Error =>
  error instanceof DriverError || (error instanceof SluiceError && error.code === 'driver')

type Opener = (settings: DriverSettings, around: Surroundings) => Promise<Driver>

const openers: Readonly<Record<DriverName, Opener>> = {
  async docker({ dataDir, imageBudget = 0 }, { clock, random, log, environment }) {
    const { auth, certs, config } = environment.docker
    const host = engineHost(environment.docker)
    const { dockerDriver } = await import('../drivers/docker/docker.ts')
    const { readCredentials } = await import('../drivers/docker/credentials.ts')
    const { packRuntime } = await import('../drivers/runtime/image.ts')
    const runtime = await buildBase(dataDir, log)
    return dockerDriver({
      host,
      ...(certs !== undefined && { tls: readCertificates(certs) }),
      dataDir,
      clock,
      random,
      runtime: { ...runtime, pack: () => packRuntime(runtime) },
      credentials: readCredentials({ dockerAuth: auth, configDir: config }),
      imageBudget,
      onPull: (progress) => log.info(progress, 'pulling an image'),
    })
  },

  async sandbox({ dataDir }, { clock, log, environment }) {
    const { sandboxDriver } = await import('../drivers/sandbox/sandbox.ts')
    const { findBubblewrap } = await import('../drivers/sandbox/bubblewrap.ts')
    if (!findBubblewrap()) throw new DriverError('unavailable', 'bubblewrap (bwrap) is not installed')
    const { openImages } = await import('../drivers/archive/archive.ts')
    const images = openImages({ dir: join(dataDir, 'images'), cache: join(dataDir, 'sandbox', 'images') })
    const runtime = await buildBase(dataDir, log)
    return sandboxDriver({ dataDir, clock, runtime, images, reach: environment.network })
  },

  async process({ dataDir }, { clock }) {
    const { processDriver } = await import('../drivers/process/process.ts')
    return processDriver({ dataDir, node: process.execPath, bootstrap: join(FDK, 'bootstrap.cjs'), clock })
  },

  async mock(_, around) {
    const { mockDriver } = await import('../drivers/mock/mock.ts')
    return mockDriver(around)
  },
}

/** The base runtime that bundles run on; made once a data folder and version. */
const buildBase = async (dataDir: string, log: Logger) =>
  (await import('./runtime.ts')).buildBaseRuntime(dataDir, {
    onStep: (step) => log.info({ step }, 'building the base runtime'),
  })

/** @throws DriverError `unavailable` when nothing says where an engine is */
function engineHost({ host }: DockerEnvironment): string {
  if (host !== undefined) return host
  const socket = ENGINE_SOCKETS.find((path) => existsSync(path))
  if (socket) return `unix://${socket}`
  throw new DriverError(
    'unavailable',
    `no engine: DOCKER_HOST is not set and there is no ${ENGINE_SOCKETS[0]}`,
  )
}

function readCertificates(dir: string): { ca: string; cert: string; key: string } {
  try {
    const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) =>
      readFileSync(join(dir, name), 'utf8'),
    ) as [string, string, string]
    return { ca, cert, key }
  } catch (error) {
    throw new DriverError('unavailable', `cannot read the engine's certificates: ${messageOf(error)}`)
  }
}

const unusable = (driver: DriverName, error: unknown): unknown =>
  error instanceof DriverError
    ? new SluiceError('driver', `the ${driver} driver cannot be used here`, {
        detail: error.message,
        cause: error,
      })
    : error
