import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { openCgroups } from '../../src/drivers/cgroup/cgroup.ts'
import { complete, never, processesLeft, type Ran, specOf } from '../../src/drivers/contract/support.ts'
import type { Container, ContainerSpec, Cookie, Driver } from '../../src/drivers/driver.ts'
import type { Runtime } from '../../src/drivers/runtime/runtime.ts'
import { findBubblewrap } from '../../src/drivers/sandbox/bubblewrap.ts'
import {
  openSandboxDriver,
  type Parts,
  type SandboxDriverOptions,
} from '../../src/drivers/sandbox/sandbox.ts'
import { seccompFilter } from '../../src/drivers/sandbox/seccomp.ts'
import { findUplink } from '../../src/drivers/sandbox/uplink.ts'
import { buildRigRuntime } from './sandbox-rig.ts'
import { tempDir } from './temp.ts'

const real: Parts = { findBubblewrap, findUplink, openCgroups, seccompFilter }

/** A sandbox driver for each test of a `describe`, which leaves nothing. */
export interface SandboxSuite {
  readonly driver: Driver
  readonly dataDir: string
  readonly runtime: Runtime
  /** Another driver, by default in the same folder. */
  open(options?: Partial<SandboxDriverOptions>, parts?: Partial<Parts>): Promise<Driver>
  /** A folder for another driver. */
  folderOf(name: string): Promise<string>
  /** What the driver's containers have on disk. */
  folders(): string[]
  prepare(spec: ContainerSpec): Promise<Cookie>
  start(spec: ContainerSpec): Promise<Container>
  /** A cold container that runs a script of the shell. */
  shell(script: string, changes?: Partial<ContainerSpec>): ContainerSpec
  run(script: string, changes?: Partial<ContainerSpec>): Promise<Ran>
}

export function sandboxSuite(): SandboxSuite {
  let shared: Awaited<ReturnType<typeof tempDir>>
  let data: Awaited<ReturnType<typeof tempDir>>
  let runtime: Runtime
  let driver: Driver
  const suite: SandboxSuite = {
    get driver() {
      return driver
    },
    get dataDir() {
      return data.path
    },
    get runtime() {
      return runtime
    },
    open: (options = {}, parts = {}) =>
      openSandboxDriver(
        { dataDir: data.path, clock: systemClock, runtime, ...options },
        { ...real, ...parts },
      ),
    async folderOf(name) {
      const dir = join(data.path, name)
      await mkdir(dir, { mode: 0o711 })
      return dir
    },
    folders: () => readdirSync(join(data.path, 'sandbox')),
    prepare: (spec) => driver.prepare(spec, never),
    start: async (spec) => (await suite.prepare(spec)).run(never),
    shell: (script, changes = {}) =>
      specOf('upper', { mode: 'cold', command: ['sh', '-c', script], ...changes }),
    run: async (script, changes = {}) => complete(await suite.start(suite.shell(script, changes))),
  }
  before(async () => {
    shared = await tempDir()
    runtime = await buildRigRuntime(shared.path)
  })
  after(() => shared[Symbol.asyncDispose]())
  beforeEach(async () => {
    data = await tempDir()
    driver = await suite.open()
  })
  afterEach(async () => {
    await driver[Symbol.asyncDispose]()
    assert.deepEqual(processesLeft(), [])
    assert.deepEqual(suite.folders(), [])
    await data[Symbol.asyncDispose]()
  })
  return suite
}
