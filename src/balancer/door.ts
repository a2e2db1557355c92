import { isCall } from '../core/routes.ts'
import type { ClientHead } from './client.ts'

/**
 * What the data port does with a request: `call` and `open` are for everybody, `guarded` is forwarded to who has the
 * balancer's token, `closed` is nobody's business here.
 */
export type Way = 'call' | 'open' | 'guarded' | 'closed'

/** What operators ask a node or a balancer itself, never through the data port. */
const CLOSED: readonly (readonly string[])[] = [['node'], ['metrics'], ['1', 'lb']]

/** Escapes within escapes that are looked through; a node looks through one. */
const DEPTH = 3

/** @param target path and query, in origin form */
export function wayOf(target: string): Way {
  if (isCall(target)) return 'call'
  if (/^\/(?:version|healthz)(?:\?|$)/.test(target)) return 'open'
  const segments = segmentsOf(target)
  return CLOSED.some((closed) => closed.every((segment, i) => segments[i] === segment)) ? 'closed' : 'guarded'
}

/** A browser that asks what a page may send has no token yet, and changes nothing. */
export const asksAhead = ({ method, field }: ClientHead): boolean =>
  method === 'OPTIONS' &&
  field('origin') !== undefined &&
  field('access-control-request-method') !== undefined

/**
 * The segments of a path as the most generous reader would take them: decoded more than once, in any case, without
 * empty and dot segments. A node reads paths more strictly, so what is closed here is closed there however it is spelled.
 */
function segmentsOf(target: string): string[] {
  let path = target
  for (let i = 0; i < DEPTH; i++) path = decode(cut(path))
  const segments: string[] = []
  for (const segment of cut(path).split(/[/\\]+/)) {
    const plain = segment.replace(/[\0-\x20\x7f-\xff]+/g, '')
    if (plain === '..') segments.pop()
    else if (plain !== '' && plain !== '.') segments.push(plain.toLowerCase())
  }
  return segments
}

/** Byte by byte: what is no UTF-8 hides nothing. */
const decode = (text: string): string =>
  text.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

const cut = (path: string): string => /^[^?#;]*/.exec(path)?.[0] ?? ''
