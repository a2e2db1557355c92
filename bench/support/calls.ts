import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { systemClock } from '../../src/core/clock.ts'
import { idMaker } from '../../src/core/ids.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { Driver, Source } from '../../src/drivers/driver.ts'
import type { Definition } from '../../src/runner/definition.ts'
import { Runner, type RunnerOptions } from '../../src/runner/runner.ts'

const makeId = idMaker(systemClock, systemRandom)

/** A production runner on a driver; every function's code is `source`. */
export const openRunner = (driver: Driver, source: Source, over: Partial<RunnerOptions> = {}): Runner =>
  new Runner({
    driver,
    clock: systemClock,
    log: silentLogger,
    sink: { write: () => {} },
    makeId,
    fetch: async () => source,
    total: { memory: 8 * 1024 ** 3, mcpus: 16_000 },
    ...over,
  })

/** One whole call, without HTTP in front: milliseconds until the last byte of its answer. */
export async function callOnce(runner: Runner, definition: Definition): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const arrived = systemClock.now()
  const slot =
    runner.tryAcquire(definition, arrived) ??
    (await runner.acquire({ definition, arrived }, new AbortController().signal))
  const answer = new PassThrough()
  runner.run(
    slot,
    { id: makeId(), headers: [], body: undefined, deadline: undefined, origin },
    {
      started() {},
      head() {},
      data: (chunk) => answer.write(chunk),
      end() {
        answer.end()
        resolve()
      },
      fail: reject,
    },
  )
  await promise
  await buffer(answer)
  return systemClock.now() - arrived
}

const origin = () => ({ method: 'POST', url: 'http://localhost/', route: '/', params: {} })
