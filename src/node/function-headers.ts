import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { BALANCER_HEADERS, first, HEADER, NODE_HEADERS } from '../core/headers.ts'
import { connectionNames, isHopByHop } from '../http1/hop-by-hop.ts'

/** A caller's headers that never reach a function as they are: the platform sets its own, or they end here. */
const DROPPED: ReadonlySet<string> = new Set([
  'host',
  'expect',
  HEADER.deadline,
  ...NODE_HEADERS,
  ...BALANCER_HEADERS,
])

/** Raw header pairs of a call by function id: the caller's, verbatim but for what is ours or hop-by-hop. */
export function invokeHeaders(req: IncomingMessage): string[] {
  const out: string[] = []
  forEachPassing(req, (name, raw, value) => {
    if (!DROPPED.has(name)) out.push(raw, value)
  })
  return out
}

/**
 * Raw header pairs of a call by trigger (api-v2 §9): the caller's renamed to `Fn-Http-H-*`, except
 * `Content-Type` and what frames the body, and the request line in headers of its own; what the path holds where the
 * trigger's source has parameters, form-encoded, in `Fn-Http-Params`.
 */
export function triggerHeaders(
  req: IncomingMessage,
  params: Readonly<Record<string, string>> = {},
): string[] {
  const out = [
    'Fn-Intent',
    'httprequest',
    'Fn-Http-Method',
    req.method as string,
    'Fn-Http-Request-Url',
    requestUrl(req),
  ]
  const query = new URLSearchParams(params).toString()
  if (query !== '') out.push('Fn-Http-Params', query)
  forEachPassing(req, (name, raw, value) => {
    if (name === 'content-type') out.push(raw, value)
    else if (name === 'content-length') out.push(raw, value, `Fn-Http-H-${raw}`, value)
    else if (name === HEADER.deadline || !DROPPED.has(name)) out.push(`Fn-Http-H-${raw}`, value)
  })
  return out
}

/** The raw header pairs of a function's answer that reach the caller of `/invoke`. */
export function invokeAnswer(headers: IncomingHttpHeaders, raw: readonly Buffer[]): string[] {
  // An array when there are several lines of it, whatever the type says.
  const named = connectionNames(headers.connection && String(headers.connection))
  const out: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString('latin1')
    const value = (raw[i + 1] as Buffer).toString('latin1')
    const lower = name.toLowerCase()
    if (!isHopByHop(lower, value, named) && !NODE_HEADERS.has(lower) && !BALANCER_HEADERS.has(lower)) {
      out.push(name, value)
    }
  }
  return out
}

/** The status that a function gives the caller of a trigger. */
export function httpStatusOf(headers: IncomingHttpHeaders): number {
  const status = first(headers[HEADER.httpStatus]) ?? ''
  return /^[2-5]\d\d$/.test(status) ? Number(status) : 200
}

/**
 * The raw header pairs that reach the caller of a trigger: `Fn-Http-H-*` without the prefix and `Content-Type`; a
 * length only as far as it frames this very body.
 */
export function triggerAnswer(raw: readonly Buffer[]): string[] {
  const out: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString('latin1')
    const value = (raw[i + 1] as Buffer).toString('latin1')
    const lower = name.toLowerCase()
    if (lower === 'content-type' || lower === 'content-length') out.push(name, value)
    else if (lower.startsWith(HEADER.httpPrefix)) {
      const inner = lower.slice(HEADER.httpPrefix.length)
      if (isOwn(inner, value)) out.push(name.slice(HEADER.httpPrefix.length), value)
    }
  }
  return out
}

/** The trailers of a function's answer that reach the caller. */
export function answerTrailers(raw: readonly Buffer[]): [string, string][] {
  const out: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString('latin1')
    if (isOwn(name.toLowerCase(), '')) out.push([name, (raw[i + 1] as Buffer).toString('latin1')])
  }
  return out
}

/** Whether a function may set this header of a trigger's answer: not framing, not ours, not set otherwise already. */
const isOwn = (name: string, value: string) =>
  name !== '' &&
  name !== 'content-length' &&
  name !== 'content-type' &&
  !isHopByHop(name, value) &&
  !NODE_HEADERS.has(name) &&
  !BALANCER_HEADERS.has(name)

/** Each header line of a request that is not hop-by-hop, with its lower-case name. */
function forEachPassing(
  req: IncomingMessage,
  visit: (name: string, raw: string, value: string) => void,
): void {
  const named = connectionNames(req.headers.connection)
  const { rawHeaders } = req
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const raw = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    const name = raw.toLowerCase()
    if (!isHopByHop(name, value, named)) visit(name, raw, value)
  }
}

/** The full URL that the caller asked for, as far as its `Host` tells. */
export function requestUrl(req: IncomingMessage): string {
  const scheme = 'encrypted' in req.socket && req.socket.encrypted === true ? 'https' : 'http'
  return `${scheme}://${req.headers.host ?? 'localhost'}${req.url}`
}
