import type { Random } from './random.ts'

/** Bits of {@link TraceContext.flags}. What else a version may define is not passed on. */
export const TRACE_FLAG = { sampled: 1, random: 2 } as const

/** Where in which trace a request was made (W3C Trace Context, https://www.w3.org/TR/trace-context-2). */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string
  /** The span that made the request: 16 lower-case hex digits, not all zero. */
  readonly spanId: string
  /** Of {@link TRACE_FLAG}. */
  readonly flags: number
  /** What tracing systems noted, the latest first: key → value. */
  readonly state: ReadonlyMap<string, string>
}

const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const STATE_KEY = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/
const STATE_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const MOST_MEMBERS = 32
const NOTHING: ReadonlyMap<string, string> = new Map()

/**
 * The context that a request's headers carry, or `undefined` when `traceparent` is missing or breaks the rules:
 * a new trace begins then, and `tracestate` means nothing. A broken `tracestate` alone counts as empty.
 * A version higher than 00 is read as far as 00 goes.
 */
export function parseTraceContext(
  traceparent: string | undefined,
  tracestate: string | undefined,
): TraceContext | undefined {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === '00' && more !== undefined) return undefined
  const known = Number.parseInt(flags, 16) & (TRACE_FLAG.sampled | TRACE_FLAG.random)
  return { traceId, spanId, flags: known, state: parseTracestate(tracestate ?? '') ?? NOTHING }
}

/** The members of a `tracestate`, or `undefined` when one of them breaks the rules. Of equal keys the first counts. */
export function parseTracestate(text: string): ReadonlyMap<string, string> | undefined {
  const state = new Map<string, string>()
  let members = 0
  for (const part of text.split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '')
    if (member === '') continue // allowed, since several lines may have been joined
    const equals = member.indexOf('=')
    const key = member.slice(0, Math.max(0, equals))
    const value = member.slice(equals + 1)
    if (!STATE_KEY.test(key) || !STATE_VALUE.test(value) || ++members > MOST_MEMBERS) return undefined
    if (!state.has(key)) state.set(key, value)
  }
  return state
}

/** The `traceparent` of a context, in version 00. */
export const formatTraceparent = ({ traceId, spanId, flags }: Omit<TraceContext, 'state'>): string =>
  `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`

/** The `tracestate` of a context; empty when there is nothing to say, and the header is left out then. */
export const formatTracestate = (state: ReadonlyMap<string, string>): string =>
  Array.from(state, ([key, value]) => `${key}=${value}`).join(',')

/** Makes the ids of traces and spans. */
export interface TraceIds {
  traceId(): string
  spanId(): string
}

export function traceIds(random: Random): TraceIds {
  return { traceId: () => hexId(4, random), spanId: () => hexId(2, random) }
}

/** `words` times 32 bits in hex, never all zero: that would mean no id. */
function hexId(words: number, random: Random): string {
  let text = ''
  for (let i = 0; i < words; i++)
    text += Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0')
  return /[^0]/.test(text) ? text : text.replace(/0$/, '1')
}
