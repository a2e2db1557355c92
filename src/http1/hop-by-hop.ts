const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * The names that a `Connection` header adds to the hop-by-hop ones (RFC 9110 §7.6.1),
 * or `undefined` for the usual values that name none.
 */
export function connectionNames(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
}

/** The same of raw pairs, which may hold several such headers. Asked of every message, so it looks at lengths first. */
export function connectionNamesIn(pairs: readonly string[]): ReadonlySet<string> | undefined {
  let value: string | undefined
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    value = value === undefined ? pairs[i + 1] : `${value},${pairs[i + 1]}`
  }
  return connectionNames(value)
}

/** Whether a header belongs to one connection only. `te` may pass when it is exactly `trailers`. @param name in lower case */
export function isHopByHop(name: string, value: string, named?: ReadonlySet<string>): boolean {
  return HOP_BY_HOP.has(name) || (name === 'te' && value !== 'trailers') || named?.has(name) === true
}
