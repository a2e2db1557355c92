import { PassThrough } from 'node:stream'
import type { Container, Driver, RunResult, StopReason } from '../../src/drivers/driver.ts'

/** A driver whose every container is one given socket: what listens there is the test's (or the benchmark's) own. */
export interface FixedDriver extends Driver {
  /** Why each container that was stopped was. */
  readonly stopped: StopReason[]
  /** Containers started so far. */
  started: number
  /** Prints on the stderr of every container from now on started. */
  stderr: string
  /** What goes wrong with every container from now on prepared or run. */
  fails: { readonly prepare?: Error; readonly run?: Error }
}

export function fixedDriver(socket: string): FixedDriver {
  const driver: FixedDriver = {
    name: 'mock',
    capabilities: {
      isolation: 'none',
      runs: ['bundle', 'image'],
      modes: ['hot'],
      isolates: [],
      networks: ['host'],
      limits: [],
      options: [],
      pause: false,
      measures: [],
      trusts: 'the test',
      warnings: [],
    },
    stopped: [],
    started: 0,
    stderr: '',
    fails: {},
    async prepare({ id }) {
      if (driver.fails.prepare) throw driver.fails.prepare
      return {
        async run() {
          if (driver.fails.run) throw driver.fails.run
          return makeContainer(id)
        },
        [Symbol.asyncDispose]: async () => {},
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }

  function makeContainer(id: string): Container {
    driver.started++
    const { promise: ended, resolve } = Promise.withResolvers<RunResult>()
    const stderr = new PassThrough()
    stderr.write(driver.stderr)
    const stop = (reason: StopReason): Promise<RunResult> => {
      driver.stopped.push(reason)
      resolve({ status: reason, oom: false, startedAt: 0 })
      return ended
    }
    return {
      id,
      socket,
      stdin: undefined,
      stdout: new PassThrough(),
      stderr,
      ended,
      pause: async () => {},
      resume: async () => {},
      async *stats() {},
      measured: () => [],
      stop,
      [Symbol.asyncDispose]: async () => void (await stop('cancelled')),
    }
  }
  return driver
}
