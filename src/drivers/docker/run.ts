import { join } from 'node:path'
import { type Clock, sleep } from '../../core/clock.ts'
import type { GroupCounters } from '../cgroup/cgroup.ts'
import type { ContainerSpec } from '../driver.ts'
import { awaitSocketInside } from '../io.ts'
import type { Running } from '../lifecycle.ts'
import type { Measurements } from '../measurements.ts'
import { holdOutput } from '../output.ts'
import { type AwaitSocketOptions, awaitSocket, type PinnedSocket } from '../socket.ts'
import { attach, detached } from './attach.ts'
import type { Engine } from './engine.ts'
import { type Life, startFault, startLife } from './life.ts'
import { openIoOf } from './processes.ts'
import { type Exit, inspectState, refusalOf, setPaused, startContainer } from './requests.ts'
import { findCounters, sampleLocally, sampleRemotely } from './samples.ts'

export interface RunOptions {
  readonly engine: Engine
  readonly clock: Clock
  /** The engine's. */
  readonly id: string
  /** The folder of this machine in whose `io` a hot one makes its socket; without one that is inside. */
  readonly dir: string | undefined
  /** The engine's processes can be seen here. */
  readonly local: boolean
  /** Called when the container is ready. */
  readonly ready: () => void
}

/** Starts a container that was created. @throws DriverError: nothing of it runs then */
export async function startRun(spec: ContainerSpec, options: RunOptions): Promise<Running> {
  const { clock, engine, id } = options
  // Podman makes the container ready to run for that, and fails there and then where Docker fails to start it.
  const refused: { exit?: Exit } = {}
  const attachment = await attach(engine, id, spec.mode).catch((error) => {
    const exit = refusalOf(error)
    if (!exit) throw startFault(error)
    refused.exit = exit
    return detached()
  })
  const early = refused.exit ? undefined : await findGroup(engine, options)
  const starting = refused.exit ? Promise.resolve(refused.exit) : startContainer(engine, id)
  const output = holdOutput(attachment.stdout, attachment.stderr, {
    limit: spec.logLimit,
    cold: spec.mode === 'cold',
  })
  // The end of its output is its last moment: soon after, the engine removes the group that counts.
  const drained = attachment.ended.then(() => void measuring.sawOom())
  const life = startLife({
    ...{ engine, id, clock, starting, drained },
    letGo: () => attachment[Symbol.dispose](),
    sawOom: () => measuring.sawOom(),
  })
  const running = awaitRunning(engine, id, life)
  const measuring = observe(spec, options, { life, running, early })
  const started = await life.started.catch(async (error) => {
    await life.stop('cancelled')
    attachment[Symbol.dispose]()
    throw startFault(error)
  })
  if (!started) attachment[Symbol.dispose]() // nothing comes any more
  if (spec.mode === 'cold') options.ready()
  return {
    ...life,
    stdin: attachment.stdin,
    output: { ...output, cut: () => attachment[Symbol.dispose]() },
    findSocket: (waiting) => findSocket(options, running, waiting).finally(options.ready),
    pause: (signal) => setPaused(engine, id, true, signal),
    resume: (signal) => setPaused(engine, id, false, signal),
    async *stats(signal) {
      const measurements = await measuring.begun
      if (measurements) yield* measurements.stream(signal)
    },
    measured: () => measuring.now()?.kept() ?? [],
  }
}

/** @returns the pid of a container's first process, on the engine's machine; `undefined` when it does not run (any more) */
async function awaitRunning(engine: Engine, id: string, { started }: Life): Promise<number | undefined> {
  if (!(await started)) return undefined
  const { Pid: pid, Running: running } = await inspectState(engine, id)
  return running ? pid : undefined
}

/** @throws StartError, DriverError, or the signal's reason */
async function findSocket(
  { dir, id }: Pick<RunOptions, 'dir' | 'id'>,
  running: Promise<number | undefined>,
  waiting: AwaitSocketOptions,
): Promise<PinnedSocket> {
  if (dir !== undefined) return awaitSocket(join(dir, 'io'), waiting)
  const pid = await running.catch(async (error) => {
    await waiting.container.stop('cancelled')
    throw error
  })
  return awaitSocketInside(() => (pid === undefined ? undefined : openIoOf(id, pid)), waiting)
}

interface Measuring {
  readonly begun: Promise<Measurements | undefined>
  now(): Measurements | undefined
  /** The kernel killed for memory; asked of the kernel again while the container's group is there. */
  sawOom(): boolean
}

/**
 * Podman has made a container's group before it starts, and does not always see itself that the kernel killed in it:
 * one that is over at once is over before its group could be looked for later.
 */
async function findGroup(
  engine: Engine,
  { id, local }: Pick<RunOptions, 'id' | 'local'>,
): Promise<GroupCounters | undefined> {
  if (!engine.podman || !local) return undefined
  const { Pid: pid } = await inspectState(engine, id).catch(() => ({ Pid: 0 }))
  return pid > 0 ? findCounters(id, pid) : undefined
}

/** Milliseconds between two looks, and how many there are from the start on. */
const LOOK = 20
const LOOKS = 100

/**
 * What the kernel counted goes with the group, sometimes before the end of the output is here: one that is over soon
 * is looked at more often than its samples are taken.
 */
async function watchClosely(group: GroupCounters, clock: Clock, ended: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  void ended.then(() => over.abort())
  for (let look = 0; look < LOOKS && group.oomKills() === 0 && !over.signal.aborted; look++)
    await sleep(clock, LOOK, over.signal).catch(() => {})
}

interface Observed {
  readonly life: Life
  readonly running: Promise<number | undefined>
  /** Found before its start. */
  readonly early: GroupCounters | undefined
}

/** Measures a container from its start to its end. */
function observe(
  spec: ContainerSpec,
  { clock, engine, id, local }: RunOptions,
  { early, life, running }: Observed,
): Measuring {
  const { ended, startedAt } = life
  let group = early
  if (early) void watchClosely(early, clock, ended)
  let measurements: Measurements | undefined
  const begin = async () => {
    const pid = await running
    if (pid === undefined) return undefined
    const common = { engine, id, ownNetwork: spec.network !== 'host', clock, ended }
    group ??= local ? findCounters(id, pid) : undefined
    measurements = group ? sampleLocally({ ...common, group, pid, startedAt }) : sampleRemotely(common)
    return measurements
  }
  return {
    begun: begin().catch(() => undefined),
    now: () => measurements,
    sawOom: () => (group?.oomKills() ?? 0) > 0,
  }
}
