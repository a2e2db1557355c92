import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openDriver } from '../../src/compose/driver.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import { dockerDriver } from '../../src/drivers/docker/docker.ts'
import type { Driver, DriverName } from '../../src/drivers/driver.ts'
import { packRuntime } from '../../src/drivers/runtime/image.ts'
import { buildRuntime } from '../../src/drivers/runtime/runtime.ts'
import { readEnvironment } from '../../src/host/config.ts'

export const FDK: string = fileURLToPath(new URL('../../src/fdk', import.meta.url))

/** A folder that containers with users of their own may pass through. */
export async function openFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'slb-'))
  await chmod(path, 0o755)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A driver as a node opens it; Docker's engine is the one of the tests, or DOCKER_HOST's. */
export async function openForBench(driver: DriverName, dir: string): Promise<Driver> {
  const dataDir = join(dir, driver)
  await mkdir(dataDir, { mode: 0o711 })
  const environment = readEnvironment({ DOCKER_HOST: engineHost(), ...process.env })
  return openDriver(
    { driver, dataDir, exposed: false },
    { clock: systemClock, random: systemRandom, log: silentLogger, environment },
  )
}

/** On an engine, with this many network namespaces made ahead of time. */
export async function openDocker(host: string, dir: string, holders: number): Promise<Driver> {
  const runtime = await buildRuntime({ dir: join(dir, 'runtime'), fdk: FDK })
  const dataDir = join(dir, `docker-${holders}`)
  await mkdir(dataDir, { mode: 0o711 })
  const pack = () => packRuntime(runtime)
  const around = { clock: systemClock, random: systemRandom }
  return dockerDriver({ host, dataDir, ...around, runtime: { ...runtime, pack }, holders })
}

/** `undefined` where the tests have no engine: its rows are left out. */
export const engineHost = (): string | undefined =>
  process.env['SLUICE_TEST_DOCKER'] ?? process.env['DOCKER_HOST']
