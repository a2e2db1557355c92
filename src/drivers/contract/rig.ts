import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type Boundary,
  type Capabilities,
  type Container,
  type ContainerSpec,
  type Cookie,
  type Driver,
  type Limit,
  type Network,
  type SpecOption,
  StartError,
} from '../driver.ts'
import { call, never, processesLeft, specOf } from './support.ts'

/** One driver under test, and what its tests have in common. */
export interface Rig {
  /** Once the tests run. */
  readonly driver: Driver
  /** An image of `contract/images.ts` that the driver can get. */
  readonly image: string | undefined
  /** A test of a driver that meets every need; otherwise it is skipped, and says what for. Its end closes its cookies. */
  it(title: string, needs: readonly Need[], body: (t: TestContext) => Promise<void>): void
  prepare(spec: ContainerSpec): Promise<Cookie>
  /** Prepares and runs. */
  start(spec: ContainerSpec): Promise<Container>
  /** Starts what must not become ready. */
  startError(spec: ContainerSpec): Promise<StartError>
  /** A hot container that does what it is asked (`functions/probe`). */
  probe(changes?: Partial<ContainerSpec>): Promise<Probe>
}

export interface Probe {
  readonly container: Container
  /** What an operation answered, or the code of its error. */
  ask(operation: string, input?: object): Promise<{ readonly value?: unknown; readonly error?: string }>
  /** The same of one that must not fail. */
  get<T>(operation: string, input?: object): Promise<T>
}

export interface Subject {
  readonly driver: () => Driver
  readonly runsCode: boolean
  readonly image: string | undefined
}

/** Why a driver is not asked for something; `undefined` when it is. */
export type Need = (capabilities: Capabilities, subject: Subject) => string | undefined

const unless = (holds: boolean, reason: string) => (holds ? undefined : reason)

export const hot: Need = ({ modes }) => unless(modes.includes('hot'), 'has no hot containers')
export const cold: Need = ({ modes }) => unless(modes.includes('cold'), 'has no cold containers')
export const pauses: Need = ({ pause }) => unless(pause, 'cannot pause')
/** Code that is really run. */
export const code: Need = ({ runs }, { runsCode }) =>
  unless(runsCode, 'runs no code') ?? unless(runs.includes('bundle'), 'runs no bundles')
export const image: Need = ({ runs }, { runsCode, image }) =>
  unless(runs.includes('image'), 'runs no images') ??
  unless(runsCode, 'runs no code') ??
  unless(image !== undefined, 'was given no image')
export const limits =
  (limit: Limit): Need =>
  (capabilities) =>
    unless(capabilities.limits.includes(limit), `does not limit ${limit}`)
export const isolates =
  (boundary: Boundary): Need =>
  (capabilities) =>
    unless(capabilities.isolates.includes(boundary), `does not isolate ${boundary}`)
export const gives =
  (network: Network): Need =>
  ({ networks }) =>
    unless(networks.includes(network), `gives no network ${network}`)
export const honours =
  (option: SpecOption): Need =>
  ({ options }) =>
    unless(options.includes(option), `does not support ${option}`)

export function rigOf(subject: Subject): Rig {
  let cookies: Cookie[] = []

  const prepare = async (spec: ContainerSpec): Promise<Cookie> => {
    const cookie = await subject.driver().prepare(spec, never)
    cookies.push(cookie)
    return cookie
  }
  const start = async (spec: ContainerSpec) => (await prepare(spec)).run(never)

  const closeAll = async () => {
    const open = cookies
    cookies = []
    await Promise.all(open.map((cookie) => cookie[Symbol.asyncDispose]()))
    assert.deepEqual(processesLeft(), [], 'processes left by closed cookies')
  }

  return {
    get driver() {
      return subject.driver()
    },
    image: subject.image,
    prepare,
    start,
    it(title, needs, body) {
      test(title, async (t) => {
        const { capabilities } = subject.driver()
        const reason = needs.map((need) => need(capabilities, subject)).find((reason) => reason !== undefined)
        if (reason !== undefined) return t.skip(reason)
        try {
          await body(t)
        } finally {
          await closeAll()
        }
      })
    },
    async startError(spec) {
      try {
        const container = await start(spec)
        assert.fail(`${container.id} became ready`)
      } catch (error) {
        assert.ok(error instanceof StartError, String(error))
        return error
      }
    },
    async probe(changes) {
      const container = await start(specOf('probe', changes))
      const ask = async (operation: string, input: object = {}) =>
        JSON.parse((await call(container, JSON.stringify({ operation, ...input }))).body)
      return {
        container,
        ask,
        async get(operation, input) {
          const { value, error } = await ask(operation, input)
          assert.equal(error, undefined, `${operation}: ${error}`)
          return value
        },
      }
    },
  }
}
