import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { TokenCheck } from '../host/token.ts'
import type { Store } from '../store/store.ts'
import { quote } from './check.ts'
import type { CorsOptions } from './cors.ts'

export interface ApiOptions {
  readonly store: Store
  /** Gives the times of resources. */
  readonly clock: Clock
  /** Gives the ids of resources. */
  readonly makeId: () => string
  /** Base of the endpoint annotations. @default what a request was sent to */
  readonly publicUrl: string | undefined
  /** Largest request body in bytes, a bundle's too; 0 = no limit but the API's own. */
  readonly maxRequestSize: number
  /** Asked for every path under `/v2`. */
  readonly allowed: TokenCheck
  /** Which web pages may use `/v2`. @default none */
  readonly cors?: CorsOptions | undefined
  /** Largest bundle in bytes. @default 104857600 */
  readonly maxBundleSize?: number
}

/** GET alone: the API has no HEAD but the bundles' own. */
export const NO_HEAD = { exposeHeadRoute: false } as const

export interface ById {
  Params: { id: string }
}

/** RFC 3339 with milliseconds. */
export const timeOf = (clock: Clock): string => new Date(clock.wall()).toISOString()

/** @param thing `App`, `Fn`, `Trigger`, `Bundle` */
export const notFound = (thing: string, id: string): SluiceError =>
  new SluiceError('not-found', `${thing} not found`, {
    detail: `there is no ${thing.toLowerCase()} ${quote(id)}`,
  })
