import type { Readable } from 'node:stream'
import { DriverError } from '../driver.ts'
import { api } from './api.ts'
import type { Engine } from './engine.ts'
import { statusOf, toDriverError } from './faults.ts'

/** The base runtime, as an image that an engine can be given. */
export interface RuntimeImage {
  readonly version: string
  /** A `docker save` archive with one image, `sluice-runtime:<version>`. Made anew each time. */
  pack(): Readable
  /** Inside. */
  readonly node: string
  /** Inside. */
  readonly bootstrap: string
  /** There is a `/bin/busybox`. */
  readonly shell: boolean
}

/** Gives the engine the runtime unless it has it; at once for all who ask at the same time. */
export interface RuntimeLoader {
  readonly ref: string
  ensure(): Promise<void>
}

export function runtimeLoader(engine: Engine, { version, pack }: RuntimeImage): RuntimeLoader {
  const tag = `sluice-runtime:${version}`
  // Podman puts names without a registry there.
  const ref = engine.podman ? `localhost/${tag}` : tag
  let loading: Promise<void> | undefined

  const load = async () => {
    if (await isLoaded(engine, ref)) return
    const answer = await engine.ask('load the base runtime', api.load(pack()))
    const [, fault] = /"error":"((?:[^"\\]|\\.)*)"/.exec(answer) ?? []
    if (fault !== undefined) throw toDriverError('load the base runtime', new Error(fault))
    if (!(await isLoaded(engine, ref)))
      throw new DriverError('unavailable', `the engine loaded the base runtime, but not as ${ref}`)
  }

  return {
    ref,
    ensure() {
      loading ??= load().finally(() => {
        loading = undefined
      })
      return loading
    },
  }
}

function isLoaded(engine: Engine, ref: string): Promise<boolean> {
  const inspect = async (signal: AbortSignal) => {
    try {
      await engine.send(api.inspectImage(ref), signal)
      return true
    } catch (error) {
      if (statusOf(error) === 404) return false
      throw error
    }
  }
  return engine.call('look for the base runtime', inspect, { idempotent: true })
}
