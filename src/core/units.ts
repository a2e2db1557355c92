import { SluiceError } from './errors.ts'

const NANOS: Readonly<Record<string, number>> = {
  h: 3_600e9,
  m: 60e9,
  s: 1e9,
  ms: 1e6,
  us: 1e3,
  µs: 1e3, // U+00B5, what Go prints
  μs: 1e3, // U+03BC, what Go also accepts
  Âµs: 1e3, // UTF-8 read as latin-1, as it arrives in a header
  ns: 1,
}

const DURATION = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|m|s|us|µs|μs|Âµs|ns))+$/
const PART = /(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|μs|Âµs|ns)/g

/** Milliseconds of a Go duration text (`1m3s`, `12.3ms`, `850us`, `0`), or `undefined` when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0s') return 0 // what most calls waited
  if (/^[+-]?0$/.test(text)) return 0
  if (!DURATION.test(text)) return undefined
  let nanos = 0
  for (const [, amount, unit] of text.matchAll(PART))
    nanos += Number(amount) * (NANOS[unit as string] as number)
  const ms = Math.round(nanos) / 1e6
  return text.startsWith('-') ? -ms : ms
}

/** A Go duration text in ASCII: `0s`, `850us`, `12.3ms`, `1.2s`, `1m3s`. Precision: whole microseconds. */
export function formatDuration(ms: number): string {
  const micros = Math.round(ms * 1_000)
  if (!(micros > 0)) return '0s'
  if (micros < 1_000) return `${micros}us`
  if (micros < 1_000_000) return `${micros / 1_000}ms`
  const seconds = micros / 1e6
  if (seconds < 60) return `${seconds}s`
  const hours = Math.floor(seconds / 3_600)
  const minutes = Math.floor((seconds % 3_600) / 60)
  const rest = Math.round((seconds - hours * 3_600 - minutes * 60) * 1e6) / 1e6
  return `${hours > 0 ? `${hours}h` : ''}${minutes}m${rest}s`
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i

/** Milliseconds since the epoch of an RFC 3339 time, or `undefined` when it is none. */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined || !RFC_3339.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

const BYTES: Readonly<Record<string, number>> = { B: 0, K: 1, M: 2, G: 3, T: 4 }

/**
 * Bytes of a size text: a positive number and a base-2 unit, `B`, `K`/`KB`/`KiB` to `T`/`TB`/`TiB`, in any case.
 * @throws SluiceError `invalid` without a number or a unit
 */
export function parseBytes(text: string): number {
  const match = /^\+?(\d+\.?\d*|\.\d+)(?:(B)|([KMGT])(?:I?B)?)$/.exec(text.trim().toUpperCase())
  const bytes = match
    ? Math.floor(Number(match[1]) * 1024 ** (BYTES[match[2] ?? (match[3] as string)] as number))
    : 0
  if (bytes > 0) return bytes
  throw new SluiceError(
    'invalid',
    'byte quantity must be a positive number with a unit of measurement like M, MB, MiB, G, GiB, or GB',
    { detail: `got ${JSON.stringify(text)}` },
  )
}
