import { bundleDigest, FN_SETTINGS, type FnSettings, FORMATS } from '../core/words.ts'
import { check } from './check.ts'
import { anything, type Reader } from './json.ts'

interface Rule {
  readonly rule: string
  holds(value: unknown): boolean
}

const number = (min: number, max: number): Rule => ({
  rule: `be a number from ${min} to ${max}`,
  holds: (value) => typeof value === 'number' && value >= min && value <= max,
})

const whole = (min: number, max: number, unit = ''): Rule => ({
  rule: `be a whole number${unit} from ${min} to ${max}`,
  holds: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
})

const flag: Rule = { rule: 'be true or false', holds: (value) => typeof value === 'boolean' }

/** Not yet. */
const never: Rule = {
  rule: 'be false: calls that are answered before they run do not work yet',
  holds: (value) => value === false,
}

const RULES: Readonly<Record<keyof FnSettings, Rule>> = {
  format: {
    rule: `be one of ${FORMATS.join(', ')}`,
    holds: (value) => (FORMATS as readonly unknown[]).includes(value),
  },
  cpus: number(0, 1_024),
  tmpfs_size: whole(0, 65_536, ' of MiB'),
  concurrency: whole(1, 1_000),
  max_concurrency: whole(0, 100_000),
  start_timeout: whole(1, 300, ' of seconds'),
  max_wait: whole(0, 3_600, ' of seconds'),
  min_warm: whole(0, 100),
  async: never,
  network: flag,
}

const NAMES = Object.keys(RULES) as (keyof FnSettings)[]

/** The settings in a request's body: taken as they come, checked by {@link checkSettings}. */
export const SETTING_FIELDS: Readonly<Record<keyof FnSettings, Reader<unknown>>> = {
  format: anything,
  cpus: anything,
  tmpfs_size: anything,
  concurrency: anything,
  max_concurrency: anything,
  start_timeout: anything,
  max_wait: anything,
  min_warm: anything,
  async: anything,
  network: anything,
}

/** `current` with those that were given. To be checked. */
export function mergeSettings(
  given: { readonly [K in keyof FnSettings]?: unknown },
  current: FnSettings = FN_SETTINGS,
): FnSettings {
  return Object.fromEntries(
    NAMES.map((name) => [name, given[name] ?? current[name]]),
  ) as unknown as FnSettings
}

/** Each setting by itself, and beside the others and the image. */
export function checkSettings(fn: FnSettings & { readonly image: string }): void {
  for (const name of NAMES) {
    const { rule, holds } = RULES[name]
    check(holds(fn[name]), `Invalid ${name}`, `fn ${name}`, rule, fn[name])
  }
  const { format, concurrency, min_warm, image } = fn
  check(
    format !== 'port' || bundleDigest(image) !== undefined,
    'Invalid format',
    'fn format',
    'be http-stream, http or default for an image: port runs bundles',
    format,
  )
  const isPiped = format === 'http' || format === 'default'
  check(
    !isPiped || concurrency === 1,
    'Invalid concurrency',
    'fn concurrency',
    `be 1 with format ${format}: one pair of pipes carries one call at a time`,
    concurrency,
  )
  check(
    format !== 'default' || min_warm === 0,
    'Invalid min_warm',
    'fn min_warm',
    'be 0 with format default: its containers serve one call each',
    min_warm,
  )
}
