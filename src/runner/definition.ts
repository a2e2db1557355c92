import type { App, Fn } from '../core/words.ts'
import type { Workload } from './policy/workload.ts'

const MIB = 1024 * 1024

/** A function as it is defined at one moment: what its containers are made from. */
export interface Definition extends Workload {
  readonly app: App
  readonly fn: Fn
  /** Its owner says that no answer of it is ever taken for another call's: connections to it are kept. */
  readonly keepsConnection: boolean
  /** Its owner says that it reads while its caller writes: it is called when the first byte of a body is here. */
  readonly streams: boolean
}

/** What an owner may say of a function in its annotations: `kept`, and `stream`. */
const CONNECTION = 'sluice/connection'
const BODY = 'sluice/body'

export const define = (app: App, fn: Fn): Definition => ({
  app,
  fn,
  key: fn.id,
  owner: app.id,
  version: `${fn.id} ${fn.updated_at} ${app.updated_at}`,
  need: { memory: fn.memory * MIB, mcpus: Math.round(fn.cpus * 1_000) },
  // One pair of pipes carries one call at a time.
  concurrency: isPiped(fn) ? 1 : Math.max(1, fn.concurrency),
  maxConcurrency: fn.max_concurrency,
  maxWait: fn.max_wait * 1_000,
  idleTimeout: fn.idle_timeout * 1_000,
  minWarm: fn.format === 'default' ? 0 : fn.min_warm,
  once: fn.format === 'default',
  streams: fn.annotations[BODY] === 'stream',
  keepsConnection: fn.annotations[CONNECTION] === 'kept',
})

/** Whether calls reach a function over stdin and stdout instead of a socket. */
export const isPiped = ({ format }: Fn): boolean => format === 'http' || format === 'default'

/**
 * The environment of a function's containers (container-contract §2): the app's config, the function's over it,
 * and the platform's over both. The driver adds `FN_LISTENER`.
 */
export function functionEnv({ app, fn }: Definition): Record<string, string> {
  return {
    ...app.config,
    ...fn.config,
    FN_FORMAT: fn.format,
    FN_APP_ID: app.id,
    FN_APP_NAME: app.name,
    FN_FN_ID: fn.id,
    FN_FN_NAME: fn.name,
    FN_NAME: fn.name,
    FN_MEMORY: String(fn.memory),
    FN_TMPSIZE: String(fn.tmpfs_size),
    FN_TYPE: 'sync',
  }
}
