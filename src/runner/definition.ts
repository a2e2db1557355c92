import type { App, Fn } from '../core/words.ts'

/** A function as it is defined at one moment: what its containers are made from. */
export interface Definition {
  readonly app: App
  readonly fn: Fn
  /** Calls one container serves at once. */
  readonly concurrency: number
  /** Equal when nothing changed that a container could see. */
  readonly version: string
}

export const define = (app: App, fn: Fn): Definition => ({
  app,
  fn,
  concurrency: Math.max(1, fn.concurrency),
  version: `${fn.id} ${fn.updated_at} ${app.updated_at}`,
})

/**
 * The environment of a function's containers (fdk-contract §2): the app's config, the function's over it,
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
