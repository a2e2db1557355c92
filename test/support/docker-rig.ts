import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { CONTRACT_IMAGE } from '../../src/drivers/contract/images.ts'
import { type DockerDriverOptions, dockerDriver } from '../../src/drivers/docker/docker.ts'
import { ownerOf } from '../../src/drivers/docker/reap.ts'
import type { RuntimeImage } from '../../src/drivers/docker/runtime-image.ts'
import { OWNER } from '../../src/drivers/docker/settings.ts'
import type { Driver } from '../../src/drivers/driver.ts'
import { findBusybox } from '../../src/drivers/runtime/busybox.ts'
import { packRuntime } from '../../src/drivers/runtime/image.ts'
import { buildRuntime, type Runtime } from '../../src/drivers/runtime/runtime.ts'
import { Docker } from './docker-client.ts'
import { tempDir } from './temp.ts'

/** A real engine, and a data folder with the base runtime for drivers on it. */
export interface EngineRig extends AsyncDisposable {
  readonly docker: Docker
  readonly dataDir: string
  readonly runtime: RuntimeImage
  open(changes?: Partial<DockerDriverOptions>): Promise<Driver>
  /** Names of the containers and folders that drivers in `dataDir` have now. */
  left(dataDir?: string): Promise<string[]>
  /** Gives the engine the image of the contract, with more lines of a Dockerfile. @returns its name */
  makeImage(name: string, more?: readonly string[]): Promise<string>
}

export async function engineRig(host: string): Promise<EngineRig> {
  await using undo = new AsyncDisposableStack()
  const { path: dataDir } = undo.use(await tempDir())
  const docker = new Docker(host)
  const built = await buildRuntime({
    dir: join(dataDir, 'runtime'),
    fdk: join(import.meta.dirname, '../../src/fdk'),
  })
  const runtime = imageOf(built)
  const held = undo.move()
  return {
    docker,
    dataDir,
    runtime,
    open: (changes = {}) =>
      dockerDriver({ host, dataDir, clock: systemClock, random: systemRandom, runtime, ...changes }),
    async left(dir = dataDir) {
      const root = join(dir, 'docker')
      const containers = await docker.containers(`${OWNER}=${ownerOf(root)}`)
      const folders = (await readdir(root)).filter((name) => /^(sl|canary)-/.test(name))
      return [...containers.map(({ Names }) => Names.join()), ...folders]
    },
    async makeImage(name, more = []) {
      await importContractImage(docker, name, more)
      held.defer(() => docker.removeImage(`${name}:latest`, true).catch(() => {})) // a test may have removed it
      return name
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

export const imageOf = (runtime: Runtime): RuntimeImage => ({
  version: runtime.version,
  node: runtime.node,
  bootstrap: runtime.bootstrap,
  shell: runtime.shell,
  pack: () => packRuntime(runtime),
})

export async function importContractImage(
  docker: Docker,
  name: string,
  more: readonly string[] = [],
): Promise<void> {
  const busybox = await findBusybox()
  if (busybox === undefined) throw new Error('install busybox-static')
  const tar = pack()
  for (const folder of ['bin', 'srv', 'tmp', 'proc', 'dev', 'sys', 'etc'])
    tar.entry({ name: `${folder}/`, type: 'directory', mode: 0o755 })
  tar.entry({ name: 'bin/sh', mode: 0o755 }, await readFile(busybox))
  tar.finalize()
  const { Cmd, Entrypoint, Env, WorkingDir } = CONTRACT_IMAGE
  const changes = [
    `ENTRYPOINT ${JSON.stringify(Entrypoint)}`,
    `CMD ${JSON.stringify(Cmd)}`,
    ...Env.map((pair) => `ENV ${pair}`),
    `WORKDIR ${WorkingDir}`,
    ...more,
  ]
  await docker.importImage(tar, { repo: name, tag: 'latest', changes })
}
