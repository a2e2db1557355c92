import { type Clock, sleep } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { DriverError, type RunResult, type StopReason } from '../driver.ts'
import type { Engine } from './engine.ts'
import { type Exit, killContainer, removeContainer, waitForExit } from './requests.ts'

export interface LifeOptions {
  readonly engine: Engine
  readonly id: string
  readonly clock: Clock
  /** How its start goes, see `startContainer`. */
  readonly starting: Promise<Exit | undefined>
  /** Settles when its output is complete. */
  readonly drained: Promise<void>
  /** Gives up what is left of its output. */
  readonly letGo: () => void
  /** The kernel counted that it killed for memory. */
  readonly sawOom: () => boolean
}

/** One container, from its start to its end. */
export interface Life {
  readonly startedAt: number
  /** Whether its program was started. @throws DriverError when the engine failed; then `ended` settles too */
  readonly started: Promise<boolean>
  readonly ended: Promise<RunResult>
  stop(reason: StopReason): Promise<RunResult>
}

/** How long `ended` waits for the output of a container that has ended: nobody may be reading it. */
const DRAIN = 1_000
/** How long one that was killed may take: podman does not tell of its end while nobody reads its output. */
const STUCK = 2_000
/** How long an engine may be away before its containers are given up: the next start removes them. */
const AWAY = 120_000

export function startLife(options: LifeOptions): Life {
  const { engine, id, clock, starting, drained, letGo, sawOom } = options
  const startedAt = clock.now()
  let reason: StopReason | undefined
  let over = false

  /** Best effort: what does not succeed is tried again while its end is waited for. */
  const kill = () => void starting.then(() => killContainer(engine, id)).catch(() => {})

  const end = async (): Promise<RunResult> => {
    let exit: Exit | undefined
    let fault: string | undefined
    try {
      const again = () => reason && kill()
      exit = (await starting) ?? (await waitForExit(engine, id, { clock, awayMs: AWAY, again }))
      if (!exit) fault = 'the engine went away'
    } catch (error) {
      fault = messageOf(error)
      await removeContainer(engine, id).catch(() => {}) // it may run all the same
    }
    over = true
    await Promise.race([drained, sleep(clock, DRAIN)])
    if (!exit) return { status: reason ?? 'error', oom: false, startedAt, ...(fault && { error: fault }) }
    return classify(exit, { reason, oom: exit.oom || sawOom(), startedAt })
  }
  const ended = end()

  return {
    startedAt,
    started: starting.then((refused) => refused === undefined),
    ended,
    stop(why) {
      if (!over) {
        reason ??= why
        kill()
        const stuck = clock.after(STUCK, letGo)
        void ended.then(() => stuck[Symbol.dispose]())
      }
      return ended
    },
  }
}

/** What an engine says of a process that SIGKILL ended, and of one that said so itself. */
const KILLED = 128 + 9

interface Known {
  readonly reason: StopReason | undefined
  readonly oom: boolean
  readonly startedAt: number
}

/**
 * One that ended well just before it was to be stopped has ended well. Running out of memory counts only when it
 * ended the container: a child that was killed for it may have been replaced.
 */
export function classify({ code, oom, error }: Exit, { reason, oom: counted, startedAt }: Known): RunResult {
  const outOfMemory = (oom || counted) && code === KILLED
  const exitCode =
    code === undefined || (code === KILLED && (reason || outOfMemory)) ? {} : { exitCode: code }
  const common = { ...exitCode, oom: outOfMemory, startedAt }
  if (outOfMemory) return { ...common, status: reason ?? 'killed', error: 'out of memory error' }
  if (code === 0) return { ...common, status: 'success' }
  if (reason) return { ...common, status: reason }
  if (code === undefined) return { ...common, status: 'killed', error }
  return { ...common, status: 'error', error: error || `exit code ${code}` }
}

/** What a run that could not start throws. */
export function startFault(error: unknown): DriverError {
  if (!(error instanceof DriverError))
    return new DriverError('unavailable', messageOf(error), { cause: error })
  // What was fine at creation and is not now is not the owner's doing.
  return error.fault === 'bad-spec' ? new DriverError('unavailable', error.message, { cause: error }) : error
}
