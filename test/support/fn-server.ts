import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

type Item = Record<string, unknown> & { id: string; name: string }
type Reply = readonly [status: number, body?: unknown]
type Handler = (request: Recorded, response: ServerResponse) => Reply | 'own' | undefined

export interface Recorded {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** A server of the v2 API in memory, for tests of its clients. It checks nothing and records everything. */
export interface FnServer extends AsyncDisposable {
  readonly url: string
  readonly requests: readonly Recorded[]
  /** `GET /v2/apps` and so on, in order. */
  readonly lines: () => string[]
  readonly items: Readonly<Record<'apps' | 'fns' | 'triggers', Map<string, Item>>>
  readonly bundles: Map<string, Buffer>
  /** Asked first. A reply is sent; 'own' = the handler answers itself; `undefined` leaves it to the server. */
  intercept: Handler | undefined
}

export async function startFnServer({
  pageSize = 30,
}: {
  readonly pageSize?: number
} = {}): Promise<FnServer> {
  const requests: Recorded[] = []
  const items = { apps: new Map(), fns: new Map(), triggers: new Map() } as FnServer['items']
  const bundles = new Map<string, Buffer>()
  const http = createServer(async (incoming, response) => {
    const target = new URL(incoming.url ?? '/', 'http://any')
    const request = {
      method: incoming.method ?? '',
      path: target.pathname,
      query: Object.fromEntries(target.searchParams),
      headers: incoming.headers,
      body: await buffer(incoming),
    }
    requests.push(request)
    const reply = server.intercept?.(request, response)
    if (reply === 'own') return
    const [status, body] = reply ?? answer(request)
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
    response.end(body === undefined ? undefined : JSON.stringify(body))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`

  function answer(request: Recorded): Reply {
    const { method, path } = request
    if (path === '/version') return [200, { version: '1.2.3' }]
    const [, root, kind = '', id = ''] = path.split('/')
    if (root === 'invoke') return [200, { echo: request.body.toString() }]
    if (root !== 'v2') return [404, { message: `Path not found: ${method} ${path}` }]
    if (kind === 'bundles') return answerBundle(request, id)
    const all = items[kind as keyof typeof items]
    if (!all) return [404, { message: `Path not found: ${method} ${path}` }]
    if (id === '')
      return method === 'POST' ? create(kind, all, request) : [200, list(kind, all, request.query)]
    const item = all.get(id)
    if (!item) return [404, { message: `${kind} ${id} not found` }]
    if (method === 'PUT') return [200, merge(item, JSON.parse(request.body.toString()))]
    if (method === 'DELETE') return all.delete(id) ? [204] : [500]
    return [200, withEndpoint(kind, item)]
  }

  function answerBundle({ method, body }: Recorded, digest: string): Reply {
    if (method === 'HEAD') return [bundles.has(digest) ? 200 : 404]
    if (createHash('sha256').update(body).digest('hex') !== digest)
      return [400, { message: 'Invalid digest' }]
    bundles.set(digest, body)
    return [200, { digest }]
  }

  function create(kind: string, all: Map<string, Item>, request: Recorded): Reply {
    const given = JSON.parse(request.body.toString())
    if (kind === 'apps' && [...all.values()].some((item) => item.name === given.name))
      return [409, { message: 'App already exists', detail: `app ${given.name}` }]
    const item = { ...given, id: `${kind}-${all.size + 1}` }
    all.set(item.id, item)
    return [200, withEndpoint(kind, item)]
  }

  function list(
    kind: string,
    all: Map<string, Item>,
    { cursor = '', ...query }: Record<string, string>,
  ): object {
    const filters = ['name', 'app_id', 'fn_id'].filter((key) => key in query)
    const matching = [...all.values()]
      .filter((item) => filters.every((key) => item[key] === query[key]) && item.name > cursor)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    const page = matching.slice(0, pageSize).map((item) => withEndpoint(kind, item))
    return { items: page, ...(page.length === pageSize && { next_cursor: page.at(-1)?.name }) }
  }

  function withEndpoint(kind: string, item: Item): Item {
    const app = items.apps.get(item['app_id'] as string)
    const endpoint =
      kind === 'fns'
        ? { 'fnproject.io/fn/invokeEndpoint': `${url}/invoke/${item.id}` }
        : { 'fnproject.io/trigger/httpEndpoint': `${url}/t/${app?.name}${item['source']}` }
    return kind === 'apps'
      ? item
      : { ...item, annotations: { ...(item['annotations'] as object), ...endpoint } }
  }

  const server: FnServer = {
    url,
    requests,
    lines: () => requests.map(({ method, path }) => `${method} ${path}`),
    items,
    bundles,
    intercept: undefined,
    async [Symbol.asyncDispose]() {
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    },
  }
  return server
}

/** PUT: maps are merged by key, where "" deletes; everything else is replaced. */
function merge(item: Item, changes: Record<string, unknown>): Item {
  for (const [key, value] of Object.entries(changes)) {
    if (key !== 'config' && key !== 'annotations') item[key] = value
    else {
      const merged = { ...(item[key] as object), ...(value as object) }
      item[key] = Object.fromEntries(Object.entries(merged).filter(([, entry]) => entry !== ''))
    }
  }
  return item
}
