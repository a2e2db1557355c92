import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { DriverFault } from '../driver.ts'
import { api } from './api.ts'
import type { EngineClient } from './client.ts'
import type { Auth } from './credentials.ts'
import { engineMessage, statusOf } from './faults.ts'
import type { PullEvent } from './progress.ts'
import type { ImageName } from './reference.ts'

/** A registry's last word: trying again would change nothing. */
export interface Refusal {
  readonly fault: DriverFault
  readonly reason: string
}

/** The engine could not get the image this time. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
  /** By which it is told from a fault of the request, as a status of the engine. */
  readonly statusCode = 502
}

export interface AttemptOptions {
  /** Absent = anonymous. */
  readonly auth: Auth | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onEvent: (event: PullEvent) => void
}

/** How long an engine may say nothing in the middle of a pull. */
const SILENCE = 5 * 60_000

/**
 * Lets an engine pull an image, once. It ends its pull when the connection is closed, as an abort does.
 * @throws RegistryError for what may go better the next time, or what the connection to the engine threw
 */
export async function attemptPull(
  engine: Pick<EngineClient, 'send'>,
  { name, version }: ImageName,
  { auth, clock, signal, onEvent }: AttemptOptions,
): Promise<Refusal | undefined> {
  using silence = watchSilence(clock)
  const either = AbortSignal.any([signal, silence.signal])
  try {
    const stream = await engine.send(api.pull(name, version, headerOf(auth)), either)
    for await (const event of readEvents(stream)) {
      silence.heard()
      const error = event.errorDetail?.message ?? event.error
      if (error !== undefined) throw new RegistryError(error)
      onEvent(event)
    }
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    if (silence.signal.aborted) throw new RegistryError(messageOf(silence.signal.reason))
    return judge(error)
  }
}

/** The refusal that an error means. @throws RegistryError or `error` itself when it means none */
function judge(error: unknown): Refusal {
  const status = statusOf(error)
  if (status === undefined) throw error
  const reason = engineMessage(error)
  const fault = faultOf(status, reason)
  if (fault) return { fault, reason }
  throw new RegistryError(reason)
}

/** Engines give a registry's answers as text: Docker mostly with status 500, podman always in its stream. */
const REFUSALS: readonly (readonly [DriverFault, RegExp])[] = [
  ['bad-spec', /invalid reference format/i],
  ['no-space', /no space left on device/i],
  [
    'image-denied',
    /unauthorized|no basic auth credentials|authentication required|access denied|access to the resource is denied|(?<!permission )\bdenied: |incorrect username or password/i,
  ],
  [
    'image-missing',
    /manifest unknown|name unknown|manifest .*not found|no matching manifest|no image found in/i,
  ],
]

function faultOf(status: number, reason: string): DriverFault | undefined {
  const [fault] = REFUSALS.find(([, words]) => words.test(reason)) ?? []
  return fault ?? (status === 404 ? 'image-missing' : status === 400 ? 'bad-spec' : undefined)
}

/** The header's own encoding, made only here: what carries the secrets does not show them otherwise. */
function headerOf(auth: Auth | undefined): string | undefined {
  if (!auth) return undefined
  const { serveraddress, username, password, identitytoken, registrytoken } = auth
  const text = JSON.stringify({ serveraddress, username, password, identitytoken, registrytoken })
  // Padded: engines do not take it otherwise.
  return Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

async function* readEvents(stream: Readable): AsyncIterable<PullEvent> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() as string
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
  }
  if (rest.trim() !== '') yield JSON.parse(rest)
}

interface Silence extends Disposable {
  readonly signal: AbortSignal
  heard(): void
}

function watchSilence(clock: Clock): Silence {
  const controller = new AbortController()
  const over = () => controller.abort(new Error(`the engine said nothing for ${SILENCE / 60_000} minutes`))
  let timer = clock.after(SILENCE, over)
  return {
    signal: controller.signal,
    heard() {
      timer[Symbol.dispose]()
      timer = clock.after(SILENCE, over)
    },
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  }
}
