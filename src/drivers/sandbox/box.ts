import type { Writable } from 'node:stream'
import { type Clock, sleep } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Cgroup } from '../cgroup/cgroup.ts'
import { DriverError, type RunResult, type StopReason } from '../driver.ts'
import { Measurements, measure } from '../measurements.ts'
import { meter } from '../meter.ts'
import { holdOutput, type Output } from '../output.ts'
import { classify, type Verdict } from './classify.ts'
import { endProcess, type Identity, identify, writeRecord } from './folder.ts'
import { type Launched, type LaunchOptions, launch } from './launch.ts'
import type { Uplink, UplinkOptions } from './uplink.ts'
import { within } from './within.ts'

export interface BoxOptions extends Omit<LaunchOptions, 'adopt'> {
  /** Holds its processes; `undefined` where nothing can be limited. */
  readonly group: Cgroup | undefined
  /** The container's folder, for its record. */
  readonly folder: string
  readonly logLimit: number | undefined
  /** Makes its way out, where it has a network of its own; `adopt` is given the pid of what carries its packets. */
  readonly connect: ((pid: number, adopt: UplinkOptions['adopt']) => Promise<Uplink>) | undefined
  readonly clock: Clock
  /** Runs once nothing of the container is left running, before `ended` settles. */
  readonly cleanUp: () => Promise<void>
}

/** One container that runs, or has run. */
export interface Box {
  /** Its first process as this machine counts. */
  readonly pid: number
  readonly startedAt: number
  readonly stdin: Writable | undefined
  readonly output: Output
  readonly measurements: Measurements
  readonly ended: Promise<RunResult>
  stop(reason: StopReason): Promise<RunResult>
}

/** How long bubblewrap may take to make a process, and to set it up. */
const SET_UP = 30_000
/** How long `ended` waits for the output of what has exited. */
const DRAIN = 1_000

/**
 * Starts a container; resolves when its program runs, or could not be run. Bubblewrap is in the container's group
 * before it starts anything, so nothing of the function ever runs outside its limits.
 * @throws DriverError when it could not be made: nothing of it is left then
 */
export async function startBox(options: BoxOptions): Promise<Box> {
  const { clock, group } = options
  const launched = await launchOrCleanUp(options)
  const output = holdOutput(launched.stdout, launched.stderr, {
    limit: options.logLimit,
    cold: options.mode === 'cold',
  })
  const verdict: Verdict = { reason: undefined, outOfMemory: false, startedAt: clock.now() }
  let first: Identity | undefined
  let uplink: Uplink | undefined
  let sampler: Sampler | undefined
  let over = false
  let killing: Promise<void> | undefined

  const kill = (): Promise<void> => {
    // What cannot be killed now, the next start of the driver tries again.
    killing ??= (group ? group.kill() : killAlone(launched, first, clock)).catch(() => {})
    return killing
  }
  const end = async (): Promise<RunResult> => {
    const exit = await launched.exit
    over = true
    await kill()
    await uplink?.[Symbol.asyncDispose]()
    sampler?.last()
    if (group && group.oomKills() > 0) verdict.outOfMemory = true
    await Promise.race([launched.drained, sleep(clock, DRAIN)])
    output.ended(clock)
    await options.cleanUp()
    return classify(exit, verdict)
  }
  const ended = end()

  try {
    first = await awaitFirst(launched, clock)
    if (!group) await writeRecord(options.folder, first)
    uplink = await options.connect?.(first.pid, (pid) => group?.add(pid))
    verdict.startedAt = clock.now()
    await letRun(launched, clock)
  } catch (error) {
    await kill()
    await ended
    await uplink?.[Symbol.asyncDispose]()
    throw await explain(error, launched)
  }

  const watch = () => {
    uplink?.refresh()
    if (!group || group.oomKills() === 0) return
    verdict.outOfMemory = true
    void kill()
  }
  if (group)
    sampler = sampleBox({ ...options, group, pid: first.pid, startedAt: verdict.startedAt, ended, watch })
  return {
    pid: first.pid,
    startedAt: verdict.startedAt,
    stdin: launched.stdin,
    output,
    measurements: sampler?.measurements ?? noMeasurements(),
    ended,
    stop(why) {
      if (!over) {
        verdict.reason ??= why
        void kill()
      }
      return ended
    },
  }
}

async function launchOrCleanUp(options: BoxOptions): Promise<Launched> {
  try {
    return await launch({ ...options, adopt: (pid) => options.group?.add(pid) })
  } catch (error) {
    await options.cleanUp()
    throw error
  }
}

async function awaitFirst({ first }: Launched, clock: Clock): Promise<Identity> {
  const pid = await within(first, SET_UP, clock)
  const identity = pid === undefined ? undefined : identify(pid)
  if (!identity) throw new Error('it ended')
  return identity
}

/** One whose set-up fails after this is let run ends in {@link classify}: bubblewrap has complained by then. */
async function letRun(launched: Launched, clock: Clock): Promise<void> {
  launched.release()
  if (!(await within(launched.entered, SET_UP, clock))) throw new Error('it ended')
}

/** Why a container could not be made: what bubblewrap says, where it says anything. */
async function explain(error: unknown, launched: Launched): Promise<DriverError> {
  if (error instanceof DriverError) return error
  const { complaint } = await launched.exit
  const text = `cannot make the sandbox: ${complaint || messageOf(error)}`
  return new DriverError('unavailable', text, { cause: error })
}

/** The end of its first process is the end of all that a container started. */
async function killAlone(launched: Launched, first: Identity | undefined, clock: Clock): Promise<void> {
  const target = first ?? identify(launched.pid)
  if (target) await endProcess(target, clock)
}

interface MeasureOptions {
  readonly group: Cgroup
  readonly pid: number
  readonly room: BoxOptions['room']
  readonly clock: Clock
  readonly startedAt: number
  readonly ended: Promise<unknown>
  /** Called with each sample. */
  readonly watch: () => void
}

interface Sampler {
  readonly measurements: Measurements
  /** Takes one more, of what has ended and is still there to be read. */
  last(): void
}

function sampleBox({ room, watch, ended, ...options }: MeasureOptions): Sampler {
  const { clock } = options
  const read = meter({ ...options, ownNetwork: room.network !== 'host' })
  const measurements = measure({
    clock,
    ended,
    read() {
      watch()
      return read()
    },
  })
  return {
    measurements,
    last() {
      const metrics = read('last')
      if (metrics) measurements.add({ timestamp: new Date(clock.wall()), metrics })
    },
  }
}

function noMeasurements(): Measurements {
  const none = new Measurements()
  none.end()
  return none
}
