/** What the path of a call names: a function by id, or a trigger by app name and source. */
export type Target =
  | { readonly kind: 'fn'; readonly fn: string }
  | { readonly kind: 'trigger'; readonly app: string; readonly source: string }

const INVOKE = '/invoke/'
const TRIGGER = '/t/'

/** Whether a request target is a call, as opposed to management. Cheap: the hot path asks it first. */
export const isCall = (target: string): boolean => target.startsWith(INVOKE) || target.startsWith(TRIGGER)

/**
 * What a request target (path and query) calls, or `undefined` when it is no call or cannot be decoded.
 * The path is compared decoded, the query is no part of it; `/t/app` alone means the source `/`.
 */
export function parseTarget(target: string): Target | undefined {
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  if (path.startsWith(INVOKE)) {
    const fn = path.slice(INVOKE.length)
    return fn !== '' && !fn.includes('/') ? { kind: 'fn', fn } : undefined
  }
  if (!path.startsWith(TRIGGER)) return undefined
  const rest = decode(path.slice(TRIGGER.length))
  if (rest === undefined) return undefined
  const slash = rest.indexOf('/')
  const app = slash < 0 ? rest : rest.slice(0, slash)
  return app === '' ? undefined : { kind: 'trigger', app, source: slash < 0 ? '/' : rest.slice(slash) }
}

/**
 * The key of placement for a call whose function is not known yet: the path cut to three segments,
 * so that a path's parameters do not split a function into many.
 */
export function guessKey(target: string): string {
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  return path.split('/', 4).join('/')
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
