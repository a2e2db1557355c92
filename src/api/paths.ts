/** The paths that are served, to tell a wrong verb from a wrong path. */
export class RouteList {
  readonly #routes = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()

  add(url: string, methods: readonly string[]): void {
    const route = this.#routes.get(url) ?? { pattern: patternOf(url), methods: new Set() }
    for (const method of methods) route.methods.add(method)
    this.#routes.set(url, route)
  }

  /** The verbs of all routes that a path belongs to. */
  methodsOf(path: string): ReadonlySet<string> {
    const found = new Set<string>()
    for (const { pattern, methods } of this.#routes.values())
      if (pattern.test(path)) for (const method of methods) found.add(method)
    return found
  }
}

/** `/v2/fns/:id/*` → what matches such paths. */
function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : RegExp.escape(part).replaceAll('\\*', '.*')))
    .join('/')
  return new RegExp(`^${source}$`, 's')
}

/** The path of a request target. */
export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}
