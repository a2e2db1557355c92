import type { TestContext } from 'node:test'
import type { Fn } from '../../src/core/words.ts'
import type { NodeOptions } from '../../src/node/node.ts'
import { fastClock } from './fast-clock.ts'
import { INVOKE, type NodeRig, type Seen, send, setUpNode } from './node-rig.ts'
import { type RawFunction, rawFunction, SCRIPTED, type Script } from './raw-function.ts'
import { until } from './until.ts'

/** So that nothing but the fault under test ends a call: the clock runs fast. One call at a time, the next one waits. */
const PATIENT: Partial<Fn> = { timeout: 3_600, idle_timeout: 3_600, max_wait: 3_600, max_concurrency: 1 }

export interface FaultRig extends NodeRig {
  readonly fn: RawFunction
  /** Ends the node; rejects unless every connection to the function is closed after it. */
  end(): Promise<void>
}

/** A node on a fast clock, whose function answers with raw bytes. */
export async function setUpFaults(
  t: TestContext,
  over: { fn?: Partial<Fn>; node?: Partial<NodeOptions> } = {},
): Promise<FaultRig> {
  const fn = rawFunction()
  const rig = await setUpNode(t, fn.server, {
    fn: { ...PATIENT, ...over.fn },
    node: { clock: fastClock(50), bodyTimeout: 3_600_000, ...over.node },
  })
  return {
    ...rig,
    fn,
    async end() {
      await rig.node[Symbol.asyncDispose]()
      for (const connection of fn.open) connection.resume() // who does not read sees no end
      await until('the connections to the function to be closed', () => fn.open.size === 0)
    },
  }
}

/** What a caller got: `200 body`, `502 message` of an error of the platform, or `broken`. */
export async function outcomeOf(seen: Promise<Seen>): Promise<string> {
  const { status, headers, body } = await seen.catch(() => ({ status: 0, headers: {}, body: '' }) as Seen)
  if (status === 0) return 'broken'
  if (headers['fn-origin'] === undefined) return `${status} ${body}`
  return `${status} ${(JSON.parse(body) as { message: string }).message}`
}

export const scripted = ({ node }: NodeRig, body = 'x'): Promise<string> =>
  outcomeOf(send(node.url + INVOKE, { headers: SCRIPTED, body }))

export const clean = ({ node }: NodeRig, body: string): Promise<string> =>
  outcomeOf(send(node.url + INVOKE, { body }))

export async function loadOf({ node }: NodeRig): Promise<{ run: number; queue: number }> {
  return JSON.parse((await send(`${node.url}/node/load`, { method: 'GET' })).body) as {
    run: number
    queue: number
  }
}

/** What becomes of three callers when the function plays a script to the first. */
export interface Aftermath {
  readonly first: string
  /** Of another caller, who waits while the first is served. */
  readonly queued: string
  /** Of one who comes after both. */
  readonly later: string
  /** Containers that were let go. */
  readonly killed: number
}

/** Plays a script to one call while another one waits for the container, then ends the node. */
export async function disturb(
  t: TestContext,
  script: Script,
  over: Parameters<typeof setUpFaults>[1] & { body?: string } = {},
): Promise<Aftermath> {
  const rig = await setUpFaults(t, over)
  const { promise: waiting, resolve } = Promise.withResolvers<void>()
  rig.fn.script = (connection, request) => waiting.then(() => script(connection, request))
  const first = scripted(rig, over.body)
  await until('the first call to run', async () => (await loadOf(rig)).run === 1)
  const queued = clean(rig, 'queued')
  await until('the second call to wait', async () => (await loadOf(rig)).queue === 1)
  resolve()
  const seen = { first: await first, queued: await queued, later: await clean(rig, 'later') }
  const killed = rig.driver.stopped.length
  await rig.end()
  return { ...seen, killed }
}
