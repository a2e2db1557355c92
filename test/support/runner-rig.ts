import { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { systemClock, type VirtualClock, virtualClock } from '../../src/core/clock.ts'
import type { SluiceError } from '../../src/core/errors.ts'
import { idMaker } from '../../src/core/ids.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Container, Driver } from '../../src/drivers/driver.ts'
import { type MockOptions, mockDriver } from '../../src/drivers/mock/mock.ts'
import type { Definition } from '../../src/runner/definition.ts'
import type { Call } from '../../src/runner/function-call.ts'
import type { Exchange } from '../../src/runner/protocols/exchange.ts'
import { type CallReceiver, Runner, type RunnerOptions, type Slot } from '../../src/runner/runner.ts'
import type { FakeContainer } from './stdio-rig.ts'

const MIB = 1024 * 1024
export const never: AbortSignal = new AbortController().signal

export interface Setup {
  readonly runner: Runner
  readonly clock: VirtualClock
  readonly driver: Driver
  /** Containers prepared so far. */
  readonly prepared: () => number
}

/** A runner over the mock driver on a virtual clock, disposed at the end of the test. */
export function setUp(
  t: TestContext,
  mock: Partial<MockOptions> = {},
  over: Partial<RunnerOptions> = {},
): Setup {
  const clock = virtualClock()
  const inner = mockDriver({ clock, random: seededRandom(1), ...mock })
  let prepared = 0
  const driver: Driver = {
    ...inner,
    prepare(spec, signal) {
      prepared++
      return inner.prepare(spec, signal)
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  const runner = new Runner({
    driver,
    clock,
    log: silentLogger,
    sink: { write: () => {} },
    makeId: idMaker(systemClock, seededRandom(2)),
    fetch: async (ref) => ({ kind: 'image', ref }),
    total: { memory: 4096 * MIB, mcpus: 4_000 },
    maxStarts: 100,
    ...over,
  })
  t.after(async () => {
    await runner[Symbol.asyncDispose]()
    await driver[Symbol.asyncDispose]()
  })
  return { runner, clock, driver, prepared: () => prepared }
}

export interface Answer {
  readonly body: string
  readonly slot: Slot
  readonly error: SluiceError | undefined
}

/** Runs one call in a slot and collects its answer. */
export function runIn(
  runner: Runner,
  slot: Slot,
  body = '',
): { answer: Promise<Answer>; exchange: Exchange } {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let text = ''
  const receiver: CallReceiver = {
    started: () => {},
    head: () => {},
    data: (chunk) => {
      text += chunk
      return true
    },
    end: () => resolve({ body: text, slot, error: undefined }),
    fail: (error) => resolve({ body: text, slot, error }),
  }
  const exchange = runner.run(slot, callOf(body), receiver)
  return { answer: promise, exchange }
}

export const callOf = (body = ''): Call => ({
  id: 'CALL',
  headers: [],
  deadline: undefined,
  origin: () => ({ method: 'POST', url: 'http://localhost/invoke/FN', route: '/invoke/FN', params: {} }),
  body: body === '' ? undefined : Readable.from([body]),
})

export async function call(
  runner: Runner,
  definition: Definition,
  arrived: number,
  body = '',
): Promise<Answer> {
  const answer = await runIn(runner, await runner.acquire({ definition, arrived }, never), body).answer
  await turn() // its container is free when what the function says out of turn would have been heard
  return answer
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A driver whose only container is made of streams. */
export function driverOf(fake: FakeContainer, socket?: string): Driver {
  const inner = mockDriver({ clock: virtualClock(), random: seededRandom(1) })
  const { stdin, stdout, stderr, ended } = fake
  const container = {
    ...{ id: 'FAKE', stdin, stdout, stderr, ended, socket },
    pause: async () => {},
    resume: async () => {},
    async *stats() {},
    measured: () => [],
    stop: () => {
      fake.settle({ status: 'killed' })
      return ended
    },
    [Symbol.asyncDispose]: async () => {},
  } satisfies Container
  const prepare = async () => ({ run: async () => container, [Symbol.asyncDispose]: async () => {} })
  return { ...inner, prepare, [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose]() }
}
