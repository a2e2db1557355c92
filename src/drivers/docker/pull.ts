import type { Clock } from '../../core/clock.ts'
import { DriverError } from '../driver.ts'
import { api, type ImageInfo } from './api.ts'
import { attemptPull, type Refusal, RegistryError } from './attempt.ts'
import type { Credentials } from './credentials.ts'
import type { Engine } from './engine.ts'
import { statusOf } from './faults.ts'
import { type PullProgress, progressMeter } from './progress.ts'
import { type ImageName, imageName } from './reference.ts'

export interface ImagePuller {
  /**
   * Makes sure that an image is on the engine; pulls it when it is missing, once for all who ask at the same time.
   * Who aborts leaves the others waiting; when the last one leaves, the pull ends too.
   * @throws DriverError `image-missing`, `image-denied`, `pull-failed`, `no-space`, or `bad-spec` for what can be no name, as
   * `Failed to pull image '<ref>': <reason>`; `unavailable` when the engine or a credential helper fails
   */
  ensure(ref: string, signal: AbortSignal): Promise<EnsuredImage>
}

export interface EnsuredImage {
  /** Its id, when it was not there before. */
  readonly pulled: string | undefined
  /** Folders that it declares as volumes. */
  readonly volumes: readonly string[]
}

export interface PullerOptions {
  readonly engine: Engine
  readonly credentials: Credentials
  readonly clock: Clock
  readonly onPull?: ((progress: PullProgress) => void) | undefined
}

interface Flight {
  readonly done: Promise<EnsuredImage>
  readonly controller: AbortController
  waiting: number
}

export function imagePuller(options: PullerOptions): ImagePuller {
  const flights = new Map<string, Flight>()

  const take = (image: ImageName): Flight => {
    const running = flights.get(image.key)
    if (running) return running
    const controller = new AbortController()
    const done = pullMissing(image, options, controller.signal).finally(() => forget(image, flight))
    done.catch(() => {}) // those who wait for it are told
    const flight = { done, controller, waiting: 0 }
    flights.set(image.key, flight)
    return flight
  }
  const forget = (image: ImageName, flight: Flight) => {
    if (flights.get(image.key) === flight) flights.delete(image.key)
  }

  return {
    async ensure(reference, signal) {
      signal.throwIfAborted()
      const image = imageName(reference)
      const flight = take(image)
      flight.waiting++
      try {
        return await untilAborted(flight.done, signal)
      } finally {
        flight.waiting--
        if (flight.waiting === 0 && signal.aborted) {
          forget(image, flight)
          flight.controller.abort(signal.reason)
          await flight.done.catch(() => {})
        }
      }
    },
  }
}

/** Settles as `promise` does, or rejects with the signal's reason when that comes first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

async function pullMissing(
  image: ImageName,
  options: PullerOptions,
  signal: AbortSignal,
): Promise<EnsuredImage> {
  const { clock, credentials, engine, onPull = () => {} } = options
  const there = await findImage(engine, image, signal)
  if (there) return { pulled: undefined, volumes: volumesOf(there) }
  const auth = await untilAborted(credentials.for(image.registry), signal) // a helper may take its time
  const meter = progressMeter(image.ref, clock, onPull)
  let refusal: Refusal | undefined
  let failed: RegistryError | undefined
  try {
    refusal = await engine.call(
      'pull the image',
      async (signal) => {
        failed = undefined
        try {
          return await attemptPull(engine, image, { auth, clock, signal, onEvent: meter.add })
        } catch (error) {
          if (error instanceof RegistryError) failed = error
          throw error
        }
      },
      { idempotent: true, signal },
    )
  } catch (error) {
    signal.throwIfAborted()
    // What else can fail is the engine, which speaks for itself.
    throw failed ? failure({ fault: 'pull-failed', reason: failed.message }, image) : error
  }
  if (refusal) throw failure(refusal, image)
  const found = await findImage(engine, image, signal)
  if (!found) throw failure({ fault: 'pull-failed', reason: 'it was gone at once' }, image)
  meter.finish()
  return { pulled: found.Id, volumes: volumesOf(found) }
}

const volumesOf = ({ Config }: ImageInfo) => Object.keys(Config?.Volumes ?? {})

const failure = ({ fault, reason }: Refusal, { ref }: ImageName) =>
  new DriverError(fault, `Failed to pull image '${ref}': ${reason}`)

function findImage(engine: Engine, { ref }: ImageName, signal: AbortSignal): Promise<ImageInfo | undefined> {
  return engine.call(
    'look for the image',
    async (signal) => {
      try {
        return await engine.send(api.inspectImage(ref), signal)
      } catch (error) {
        if (statusOf(error) === 404) return undefined
        throw error
      }
    },
    { idempotent: true, signal },
  )
}
