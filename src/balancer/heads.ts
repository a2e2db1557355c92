import { SluiceError } from '../core/errors.ts'
import { BALANCER_HEADERS, HEADER, NODE_HEADERS } from '../core/headers.ts'
import { isFraming } from '../http1/framing.ts'
import { connectionNamesIn, isHopByHop } from '../http1/hop-by-hop.ts'
import type { ClientHead } from './client.ts'

/**
 * The fields of a client's request that go to a node: names, values and order as they came, without the hop-by-hop
 * ones and without what only nodes and balancers may say.
 * @throws SluiceError `invalid` when there are several Host fields
 */
export function requestHeaders(head: ClientHead, callId: string | undefined): string[] {
  const raw = head.headers
  const named = connectionNamesIn(raw)
  const out: string[] = []
  let host: string | undefined
  let { from } = head
  let scheme = 'http'
  let origin: string | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const lower = name.toLowerCase()
    switch (lower) {
      case 'host':
        if (host !== undefined)
          throw new SluiceError('invalid', undefined, { detail: 'more than one Host field' })
        host = value
        out.push(name, value)
        continue
      case 'x-forwarded-for':
        from = `${value}, ${from}`
        continue
      case 'x-forwarded-proto':
        scheme = value
        continue
      case 'x-forwarded-host':
        origin = value
        continue
      case 'expect': // answered by our own server
        continue
    }
    if (NODE_HEADERS.has(lower) || BALANCER_HEADERS.has(lower) || isHopByHop(lower, value, named)) continue
    out.push(name, value)
  }
  out.push('X-Forwarded-For', from, 'X-Forwarded-Proto', scheme)
  const first = origin ?? host
  if (first !== undefined) out.push('X-Forwarded-Host', first)
  if (callId !== undefined) out.push('Fn-Call-Id', callId)
  return out
}

/** A reply's head, taken apart: what the client gets, and what the node said to the balancer. */
export interface Reply {
  readonly headers: string[]
  wait: string | undefined
  clocks: string | undefined
  load: string | undefined
  function: string | undefined
  reject: string | undefined
  origin: string | undefined
  timing: string | undefined
}

/**
 * @param placed the reply to a call: `Fn-Call-Id` and `Server-Timing` are then the balancer's to write
 * @param bodiless a 204: a length would be one too many
 */
export function splitReply(raw: readonly string[], placed: boolean, bodiless: boolean): Reply {
  const reply: Reply = {
    headers: [],
    wait: undefined,
    clocks: undefined,
    load: undefined,
    function: undefined,
    reject: undefined,
    origin: undefined,
    timing: undefined,
  }
  const named = connectionNamesIn(raw)
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const lower = name.toLowerCase()
    if (NODE_HEADERS.has(lower)) keepSignal(reply, lower, value)
    else if (placed && lower === HEADER.timing)
      reply.timing = reply.timing ? `${reply.timing}, ${value}` : value
    else if (placed && lower === HEADER.callId) continue
    else if (bodiless && lower === 'content-length') continue
    else if (!isHopByHop(lower, value, named)) reply.headers.push(name, value)
  }
  return reply
}

function keepSignal(reply: Reply, name: string, value: string): void {
  switch (name) {
    case HEADER.wait:
      reply.wait = value
      return
    case HEADER.wait2017:
      reply.wait ??= value
      return
    case HEADER.clocks:
      reply.clocks = value
      return
    case HEADER.load:
      reply.load = value
      return
    case HEADER.function:
      reply.function = value
      return
    case HEADER.reject:
      reply.reject = value
      return
    case HEADER.origin:
      reply.origin = value
      return
  }
}

/** Trailers that a client may see, as pairs. */
export function replyTrailers(raw: readonly string[]): [string, string][] {
  const out: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const lower = name.toLowerCase()
    if (!isFraming(lower) && !NODE_HEADERS.has(lower) && !isHopByHop(lower, value)) out.push([name, value])
  }
  return out
}
