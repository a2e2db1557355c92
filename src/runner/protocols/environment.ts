import { HEADER } from '../../core/headers.ts'
import { headerOf, headerText } from '../../http1/raw-headers.ts'
import type { Definition } from '../definition.ts'

/** Where a call came from, for functions that read it from their environment. */
export interface CallOrigin {
  readonly method: string
  /** What the caller asked for, complete: scheme, host, path, query. */
  readonly url: string
  /** The path that the function is bound to. */
  readonly route: string
  /** Parts of the path by name, where the route has such. */
  readonly params: Readonly<Record<string, string>>
}

export interface EnvironmentOptions {
  readonly definition: Definition
  /** Raw header pairs that go to the function. */
  readonly headers: readonly string[]
  readonly origin: CallOrigin
}

/**
 * What functions of 2017 read from their environment, a call's part of it included: `METHOD`, `APP_NAME`, `ROUTE`,
 * `REQUEST_URL`, `PARAM_*`, `HEADER_*`, the app's config, the function's over it, `FN_CALL_ID`, `FN_DEADLINE`.
 * A later one of this list wins, so that no caller can change what the owner configured. Names that no environment
 * can have, and what holds NUL, are left out; so is config named `FN_*`, which the platform's own variables of the
 * container answer.
 */
export function environment2017({
  definition: { app, fn },
  headers,
  origin,
}: EnvironmentOptions): Record<string, string> {
  const out = new Map<string, string>()
  const set = (name: string, value: string | undefined) => {
    if (value !== undefined && /^[A-Z_][A-Z0-9_]*$/.test(name) && !value.includes('\0')) out.set(name, value)
  }
  set('METHOD', origin.method)
  set('APP_NAME', app.name)
  set('ROUTE', origin.route)
  if (URL.canParse(origin.url)) set('REQUEST_URL', origin.url)
  for (const [name, value] of Object.entries(origin.params)) set(variable(`PARAM_${name}`), value)
  for (const [name, value] of callerHeaders(headers)) set(variable(`HEADER_${name}`), value)
  for (const [key, value] of [...Object.entries(app.config), ...Object.entries(fn.config)]) {
    const name = variable(key)
    if (!name.startsWith('FN_')) set(name, value)
  }
  set('FN_CALL_ID', headerOf(headers, HEADER.callId))
  set('FN_DEADLINE', headerOf(headers, HEADER.deadline))
  return Object.fromEntries(out)
}

const variable = (name: string) => name.toUpperCase().replaceAll('-', '_')

/**
 * What the caller sent, by lower-case name. A trigger renames the caller's headers to `Fn-Http-H-*`; one that comes
 * under its plain name too counts as that. A name with an underscore never stands for the one with a dash, which
 * a proxy in front of us may have vouched for.
 */
function callerHeaders(pairs: readonly string[]): Map<string, string> {
  const plain = new Map<string, string>()
  const renamed = new Map<string, string>()
  for (let i = 0; i < pairs.length; i += 2) {
    const lower = (pairs[i] as string).toLowerCase()
    const fromTrigger = lower.startsWith(HEADER.httpPrefix)
    const name = fromTrigger ? lower.slice(HEADER.httpPrefix.length) : lower
    if (name === '' || name.startsWith('fn-')) continue
    const into = fromTrigger ? renamed : plain
    const value = headerText(pairs[i + 1] as string)
    const before = into.get(name)
    into.set(name, before === undefined ? value : `${before} ${value}`)
  }
  const all = new Map([...renamed, ...plain])
  for (const name of all.keys()) {
    if (name.includes('_') && all.has(name.replaceAll('_', '-'))) all.delete(name)
  }
  return all
}
