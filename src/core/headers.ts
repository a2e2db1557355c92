import { formatDuration, parseDuration } from './units.ts'

/** The names on the wire, lower-case as Node reads them. `docs/architecture.md` explains each. */
export const HEADER = {
  wait: 'fxlb-wait',
  /** What the code of 2017 really sent; read, never written. */
  wait2017: 'xxx-fxlb-wait',
  clocks: 'fn-wait',
  load: 'fn-load',
  function: 'fn-function',
  reject: 'fn-reject',
  origin: 'fn-origin',
  /** Between a node and a container: which answer belongs to which call. */
  turn: 'fn-turn',
  warmOnly: 'fn-warm-only',
  callId: 'fn-call-id',
  deadline: 'fn-deadline',
  explain: 'fn-explain',
  explained: 'fn-explained',
  invokeType: 'fn-invoke-type',
  timing: 'server-timing',
  intent: 'fn-intent',
  httpStatus: 'fn-http-status',
  httpMethod: 'fn-http-method',
  httpUrl: 'fn-http-request-url',
  httpPrefix: 'fn-http-h-',
} as const

/** Facts about load that only a node may state: dropped from what functions and clients send, and from what clients receive. */
export const NODE_HEADERS: ReadonlySet<string> = new Set([
  HEADER.wait,
  HEADER.wait2017,
  HEADER.clocks,
  HEADER.load,
  HEADER.function,
  HEADER.reject,
  HEADER.origin,
  HEADER.turn,
])

/** What only a balancer may say to a node: dropped from client requests at the balancer. */
export const BALANCER_HEADERS: ReadonlySet<string> = new Set([HEADER.warmOnly, HEADER.callId])

/** The three clocks of a wait, in milliseconds. */
export interface Wait {
  /** For a free slot. */
  readonly queue: number
  /** For a container to be created and become ready. */
  readonly start: number
  /** For the image or bundle. */
  readonly fetch: number
}

export const NO_WAIT: Wait = { queue: 0, start: 0, fetch: 0 }

export const totalWait = (wait: Wait): number => wait.queue + wait.start + wait.fetch

export const formatWait = ({ queue, start, fetch }: Wait): string =>
  start + fetch === 0
    ? `queue=${formatDuration(queue)},start=0s,fetch=0s` // what most calls waited
    : `queue=${formatDuration(queue)},start=${formatDuration(start)},fetch=${formatDuration(fetch)}`

/** The reverse of {@link formatWait}; `undefined` unless all three parse and none is negative. */
export function parseWait(text: string): Wait | undefined {
  const queue = duration(fieldOf(text, 'queue'))
  const start = duration(fieldOf(text, 'start'))
  const fetch = duration(fieldOf(text, 'fetch'))
  if (queue === undefined || start === undefined || fetch === undefined) return undefined
  return { queue, start, fetch }
}

export { ORIGINS, type Origin, REJECTS, type Reject } from './words.ts'

/** One `Server-Timing` entry (W3C): milliseconds with two decimals. */
export const formatEntry = (name: string, ms: number): string => `${name};dur=${ms.toFixed(2)}`

/** The `Server-Timing` of a call; `run` once it has started. */
export function formatTiming({ queue, start, fetch }: Wait, run?: number): string {
  const cold =
    start + fetch === 0
      ? 'start;dur=0.00, fetch;dur=0.00'
      : `${formatEntry('start', start)}, ${formatEntry('fetch', fetch)}`
  const waited = `${formatEntry('queue', queue)}, ${cold}`
  return run === undefined ? waited : `${waited}, ${formatEntry('run', run)}`
}

/** A header's first value, however Node hands it over. */
export const first = (value: string | readonly string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : value?.[0]

/** The value of `name=` in a list `a=1,b=2`. Looks it up in place: this is read on every reply of a node. */
export function fieldOf(text: string, name: string): string | undefined {
  const key = `${name}=`
  const at = text.startsWith(key) ? 0 : text.indexOf(`,${key}`) + 1
  if (at === 0 && !text.startsWith(key)) return undefined
  const end = text.indexOf(',', at)
  return text.slice(at + key.length, end < 0 ? undefined : end)
}

function duration(text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : parseDuration(text)
  return ms !== undefined && ms >= 0 ? ms : undefined
}
