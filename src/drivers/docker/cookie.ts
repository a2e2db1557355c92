import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { GroupCounters } from '../cgroup/cgroup.ts'
import { type Container, type ContainerSpec, type Cookie, DriverError } from '../driver.ts'
import { awaitSocketInside } from '../io.ts'
import type { Measurements } from '../measurements.ts'
import { holdOutput, type Output } from '../output.ts'
import { type AwaitSocketOptions, awaitSocket, type PinnedSocket } from '../socket.ts'
import { limitTime } from '../time-limit.ts'
import { orUndo } from './abort.ts'
import { type Attachment, attach, detached } from './attach.ts'
import type { Engine } from './engine.ts'
import { type Life, startFault, startLife } from './life.ts'
import { openIoOf } from './processes.ts'
import { type Exit, inspectState, refusalOf, setPaused, startContainer } from './requests.ts'
import { findCounters, sampleLocally, sampleRemotely } from './samples.ts'

export interface CookieOptions {
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
  /** Removes the container and all that goes with it. Never rejects. */
  readonly remove: () => Promise<void>
}

/** A created container, and what becomes of it. */
export function makeCookie(spec: ContainerSpec, options: CookieOptions, closed: () => void): Cookie {
  const { clock, remove } = options
  let run: Run | undefined
  let starting: Promise<Container> | undefined
  let used = false
  let closing: Promise<void> | undefined
  const over = new AbortController()
  let removing: Promise<void> | undefined

  const removeOnce = () => {
    removing ??= remove()
    return removing
  }
  const close = async () => {
    over.abort(new DriverError('closed', `container ${spec.id} was closed while it started`))
    await starting?.catch(() => {})
    await run?.end()
    await removeOnce()
    closed()
  }

  return {
    async run(signal) {
      signal.throwIfAborted()
      if (used) throw new DriverError('closed', `container ${spec.id} was started already, or is closed`)
      used = true
      const either = AbortSignal.any([signal, over.signal])
      starting = startRun(spec, options).then((made) => {
        run = made
        // Off the way of whoever waits for the end.
        void made.life.ended.then(removeOnce)
        return made.ready(either)
      })
      return orUndo(starting, { clock, signal: either, undo: async () => run?.end() })
    },

    [Symbol.asyncDispose]() {
      used = true
      closing ??= close()
      return closing
    },
  }
}

/** A container that was started, or is about to be. */
interface Run {
  readonly life: Life
  /** @throws StartError, DriverError, or the signal's reason; nothing of it runs then */
  ready(signal: AbortSignal): Promise<Container>
  /** Stops it and lets go of it. */
  end(): Promise<void>
}

async function startRun(spec: ContainerSpec, options: CookieOptions): Promise<Run> {
  const { clock, engine, id } = options
  // Podman makes the container ready to run for that, and fails there and then where Docker fails to start it.
  const refused: { exit?: Exit } = {}
  const attachment = await attach(engine, id, spec.mode).catch((error) => {
    const exit = refusalOf(error)
    if (!exit) throw startFault(error)
    refused.exit = exit
    return detached()
  })
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
  const measuring = observe(spec, options, life, running)
  let socket: PinnedSocket | undefined
  const end = async () => {
    await life.stop('cancelled')
    socket?.[Symbol.dispose]()
    attachment[Symbol.dispose]()
  }

  return {
    life,
    async ready(signal) {
      const started = await life.started.catch(async (error) => {
        await end()
        throw startFault(error)
      })
      if (!started) attachment[Symbol.dispose]() // nothing comes any more
      if (spec.mode === 'hot') {
        const container = { ...life, output: output.tail }
        const waiting = { timeoutMs: spec.startTimeout, clock, signal, container }
        socket = await findSocket(options, running, waiting)
      }
      limitTime(spec, life, { clock, startedAt: life.startedAt })
      output.started()
      options.ready()
      return makeContainer(spec, { engine, id, attachment, life, measuring, output, socket, end })
    },
    end,
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
  { dir, id }: Pick<CookieOptions, 'dir' | 'id'>,
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

interface Parts {
  readonly engine: Engine
  readonly id: string
  readonly attachment: Attachment
  readonly life: Life
  readonly measuring: Measuring
  readonly output: Output
  readonly socket: PinnedSocket | undefined
  readonly end: () => Promise<void>
}

function makeContainer(spec: ContainerSpec, parts: Parts): Container {
  const { attachment, end, engine, id, life, measuring, output, socket } = parts
  return {
    id: spec.id,
    socket: socket?.path,
    stdin: attachment.stdin,
    stdout: output.stdout,
    stderr: output.stderr,
    ended: life.ended,
    pause: (signal) => setPaused(engine, id, true, signal),
    resume: (signal) => setPaused(engine, id, false, signal),
    async *stats(signal) {
      const measurements = await measuring.begun
      if (measurements) yield* measurements.stream(signal)
    },
    measured: () => measuring.now()?.kept() ?? [],
    stop: life.stop,
    [Symbol.asyncDispose]: end,
  }
}

interface Measuring {
  readonly begun: Promise<Measurements | undefined>
  now(): Measurements | undefined
  /** The kernel killed for memory; asked of the kernel again while the container's group is there. */
  sawOom(): boolean
}

/** Measures a container from its start to its end. */
function observe(
  spec: ContainerSpec,
  { clock, engine, id, local }: CookieOptions,
  { ended, startedAt }: Life,
  running: Promise<number | undefined>,
): Measuring {
  let group: GroupCounters | undefined
  let measurements: Measurements | undefined
  const begin = async () => {
    const pid = await running
    if (pid === undefined) return undefined
    const common = { engine, id, ownNetwork: spec.network !== 'host', clock, ended }
    group = local ? findCounters(id, pid) : undefined
    measurements = group ? sampleLocally({ ...common, group, pid, startedAt }) : sampleRemotely(common)
    return measurements
  }
  return {
    begun: begin().catch(() => undefined),
    now: () => measurements,
    sawOom: () => (group?.oomKills() ?? 0) > 0,
  }
}
