import { type Clock, sleep } from '../../core/clock.ts'
import type { DriverError } from '../driver.ts'
import { api, type ContainerState } from './api.ts'
import type { Engine } from './engine.ts'
import { engineMessage, isTransient, statusOf } from './faults.ts'

/** What an engine says of a container that does not run (any more). */
export interface Exit {
  /** `undefined` when nobody can say any more. */
  readonly code: number | undefined
  /** The engine saw the kernel kill for memory. */
  readonly oom: boolean
  readonly error: string
}

/**
 * Starts a container.
 * @returns its end, when what it should run could not be started
 * @throws DriverError when the engine failed
 */
export async function startContainer(engine: Engine, id: string): Promise<Exit | undefined> {
  try {
    await engine.ask('start the container', api.start(id), {
      idempotent: true,
      // Engines say 500 also of what fails each time.
      transient: (error) => isTransient(error) && !isRefusal(error),
    })
    return undefined
  } catch (error) {
    if (statusOf(error) === 304) return undefined
    const refused = refusalOf(error)
    if (!refused) throw error
    return refused
  }
}

/** The end, as a shell has it, of a container whose program could not be run; `undefined` of any other error. */
export function refusalOf(error: unknown): Exit | undefined {
  if (!isRefusal(error)) return undefined
  const message = engineMessage(error)
  return { code: /permission denied|exec format/i.test(message) ? 126 : 127, oom: false, error: message }
}

function isRefusal(error: unknown): boolean {
  const [, what] = /(?:exec:?|executable file|stat|chdir[^:]*:?) (.*)$/is.exec(engineMessage(error)) ?? []
  return /not found|no such file|permission denied|exec format|is a directory|not a directory/i.test(
    what ?? '',
  )
}

/**
 * Waits until a container that was started has ended, and tells how; asks again while the engine is away, until
 * it answers. `again` runs before each try.
 * @returns `undefined` when the engine was away for longer than `awayMs`
 */
export async function waitForExit(
  engine: Engine,
  id: string,
  { clock, awayMs, again }: { clock: Clock; awayMs: number; again: () => void },
): Promise<Exit | undefined> {
  const unlimited = new AbortController().signal
  for (let since: number | undefined; ; ) {
    try {
      await engine.ask('wait for the container', api.wait(id), { signal: unlimited })
      const state = await inspectState(engine, id)
      if (!state.Running) return { code: state.ExitCode, oom: state.OOMKilled, error: state.Error }
      since = undefined
    } catch (error) {
      if (statusOf(error) === 404) return { code: undefined, oom: false, error: 'the container was removed' }
      since ??= clock.now()
      if (clock.now() - since > awayMs) return undefined
    }
    await sleep(clock, PAUSE)
    again()
  }
}

const PAUSE = 250

export async function inspectState(engine: Engine, id: string): Promise<ContainerState> {
  const { State } = await engine.ask('inspect the container', api.inspect(id), { idempotent: true })
  return State
}

/** Ends all of a container by force; one that does not run is fine. @throws DriverError */
export async function killContainer(engine: Engine, id: string): Promise<void> {
  const kill = () => engine.ask('kill the container', api.kill(id), { idempotent: true })
  try {
    await kill()
  } catch (error) {
    if (!isDone(error)) throw error
    // Podman does not kill what is paused.
    if (statusOf(error) !== 409 || !(await inspectState(engine, id)).Paused) return
    await setPaused(engine, id, false)
    await kill().catch(ignoreDone)
  }
}

/** Removes a container with its volumes, whatever its state; one that is not there is fine. @throws DriverError */
export async function removeContainer(engine: Engine, id: string, signal?: AbortSignal): Promise<void> {
  await engine
    .ask('remove the container', api.remove(id), { idempotent: true, ...(signal && { signal }) })
    .catch(ignoreDone)
}

/** One that is so already is fine. @throws DriverError */
export async function setPaused(
  engine: Engine,
  id: string,
  paused: boolean,
  signal?: AbortSignal,
): Promise<void> {
  await engine
    .ask(paused ? 'pause the container' : 'resume the container', paused ? api.pause(id) : api.unpause(id), {
      idempotent: true,
      ...(signal && { signal }),
      transient: (error) => isTransient(error) && !isSo(error),
    })
    .catch((error) => {
      if (!isSo(error)) throw error
    })
}

const isSo = (error: unknown) => /already paused|is not paused/i.test(engineMessage(error))

/** The container is gone, is about to be, or does not run. */
const isDone = (error: unknown) => [404, 409, 304].includes(statusOf(error) ?? 0)

function ignoreDone(error: DriverError): void {
  if (!isDone(error)) throw error
}
