import type { Readable } from 'node:stream'
import { Agent, type Dispatcher, request } from 'undici'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { formatDuration } from '../core/units.ts'
import type { App, Fn, Trigger } from '../core/words.ts'
import { connectionFailure, failureOf } from './failure.ts'

export interface ClientOptions {
  /** Base of the server, without a trailing slash; a path in it is kept. */
  readonly url: string
  /** Sent on `/v2` only. */
  readonly token: string | undefined
  readonly clock: Clock
  /** Aborts whatever is under way. */
  readonly signal: AbortSignal
  /** Milliseconds one exchange with the management API may take. @default 30_000 */
  readonly timeLimit?: number
}

/** The collections of the v2 API. */
interface Resources {
  readonly apps: App
  readonly fns: Fn
  readonly triggers: Trigger
}
type Kind = keyof Resources

export interface InvokeOptions {
  readonly body: Readable | Uint8Array | undefined
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds from sending to the last byte of the answer. */
  readonly timeLimit: number
}

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable & { text(): Promise<string> }
}

const UPLOAD_LIMIT = 300_000
const CONNECT_LIMIT = 10_000

/**
 * A client of the v2 API and of `/invoke`. Errors: what the server said, as a SluiceError with its message and
 * detail; `node-unreachable` without a server; `timed-out` after the limit; the signal's reason when aborted.
 */
export class Client implements AsyncDisposable {
  readonly url: string
  readonly #options: ClientOptions
  readonly #agent: Agent

  constructor(options: ClientOptions) {
    this.url = checkUrl(options.url)
    this.#options = options
    // The limits are our own: they hold for the whole exchange and can be told apart.
    this.#agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: CONNECT_LIMIT } })
  }

  async version(): Promise<string> {
    const { version } = await this.#json<{ version: string }>('GET', '/version')
    return version
  }

  async findApp(name: string): Promise<App | undefined> {
    return await this.#find('apps', { name })
  }

  async app(name: string): Promise<App> {
    return found(
      await this.findApp(name),
      'App',
      `no app is named ${quote(name)} at ${this.url}`,
      'list apps',
    )
  }

  async findFn(app: App, name: string): Promise<Fn | undefined> {
    return await this.#find('fns', { app_id: app.id, name })
  }

  async fn(app: App, name: string): Promise<Fn> {
    const what = `no function is named ${quote(name)} in app ${quote(app.name)}`
    return found(await this.findFn(app, name), 'Fn', what, `list functions ${app.name}`)
  }

  async findTrigger(fn: Fn, name: string): Promise<Trigger | undefined> {
    return await this.#find('triggers', { app_id: fn.app_id, fn_id: fn.id, name })
  }

  async trigger(app: App, fn: Fn, name: string): Promise<Trigger> {
    const what = `no trigger is named ${quote(name)} on function ${quote(fn.name)}`
    return found(await this.findTrigger(fn, name), 'Trigger', what, `list triggers ${app.name}`)
  }

  /** All of them, in the server's order. */
  async list<K extends Kind>(kind: K, query: Readonly<Record<string, string>> = {}): Promise<Resources[K][]> {
    const items: Resources[K][] = []
    const seen = new Set<string>()
    let cursor = ''
    do {
      seen.add(cursor)
      const page = await this.#page(kind, { ...query, per_page: '100', ...(cursor && { cursor }) })
      items.push(...page.items)
      cursor = page.next_cursor ?? ''
    } while (cursor && !seen.has(cursor)) // a server that goes round in circles ends here
    return items
  }

  async create<K extends Kind>(kind: K, body: Partial<Resources[K]>): Promise<Resources[K]> {
    return await this.#json('POST', `/v2/${kind}`, body)
  }

  /** Merges `changes` into the resource; a config key or annotation of value "" is deleted. */
  async update<K extends Kind>(kind: K, id: string, changes: Partial<Resources[K]>): Promise<Resources[K]> {
    return await this.#json('PUT', `/v2/${kind}/${encodeURIComponent(id)}`, changes)
  }

  async remove(kind: Kind, id: string): Promise<void> {
    await this.#text('DELETE', `/v2/${kind}/${encodeURIComponent(id)}`)
  }

  /** Whether the server has the bundle of this hex digest. */
  async hasBundle(digest: string): Promise<boolean> {
    const limit = this.#limit(this.#options.timeLimit ?? 30_000)
    return await this.#exchange('HEAD', `${this.url}/v2/bundles/${digest}`, {}, limit, async (answer) => {
      if (answer.status < 300) return true
      if (answer.status === 404 || answer.status === 405) return false
      throw failureOf(answer.status, '', 'internal')
    })
  }

  async putBundle(digest: string, tar: Uint8Array): Promise<void> {
    const limit = this.#limit(UPLOAD_LIMIT)
    const request = { body: tar, headers: { 'content-type': 'application/x-tar' } }
    await this.#exchange('PUT', `${this.url}/v2/bundles/${digest}`, request, limit, checkedText)
  }

  /** Where a function is called: what the server says, else the path of its id. */
  invokeUrl(fn: Fn): string {
    return annotated(fn, 'fnproject.io/fn/invokeEndpoint') ?? `${this.url}/invoke/${fn.id}`
  }

  triggerUrl(app: App, trigger: Trigger): string {
    const own = `${this.url}/t/${encodeURIComponent(app.name)}${encodeURI(trigger.source)}`
    return annotated(trigger, 'fnproject.io/trigger/httpEndpoint') ?? own
  }

  /** Calls a function. The answer, whatever its status, is only good until `use` is done. */
  async invoke<T>(url: string, options: InvokeOptions, use: (answer: Answer) => Promise<T>): Promise<T> {
    const { body = null, headers } = options
    return await this.#exchange('POST', url, { body, headers }, this.#limit(options.timeLimit), use)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #find<K extends Kind>(kind: K, query: Record<string, string>): Promise<Resources[K] | undefined> {
    const { items } = await this.#page(kind, query)
    return items.find((item) => item.name === query['name']) // also where the server ignores the filter
  }

  #page<K extends Kind>(
    kind: K,
    query: Readonly<Record<string, string>>,
  ): Promise<{ items: Resources[K][]; next_cursor?: string }> {
    return this.#json('GET', `/v2/${kind}?${new URLSearchParams(query)}`)
  }

  async #json<T>(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<T> {
    const text = await this.#text(method, path, body)
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new SluiceError('internal', `${this.url} did not answer in JSON`, {
        cause,
        detail: 'see whether FN_API_URL names a Sluice or Fn server',
      })
    }
  }

  async #text(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<string> {
    const limit = this.#limit(this.#options.timeLimit ?? 30_000)
    const json =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return await this.#exchange(method, this.url + path, json, limit, checkedText)
  }

  async #exchange<T>(
    method: Dispatcher.HttpMethod,
    url: string,
    options: Pick<Dispatcher.DispatchOptions, 'body'> & { headers?: Readonly<Record<string, string>> },
    limit: Limit,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    using held = limit
    try {
      const { statusCode, headers, body } = await request(url, {
        method,
        body: options.body ?? null,
        headers: { ...this.#authorization(url), ...options.headers },
        dispatcher: this.#agent,
        signal: held.signal,
      })
      try {
        return await use({ status: statusCode, headers, body })
      } finally {
        body.on('error', () => {}).destroy() // what `use` left unread is not wanted
      }
    } catch (error) {
      held.signal.throwIfAborted()
      throw connectionFailure(error, this.url)
    }
  }

  #authorization(url: string): Record<string, string> {
    const { token } = this.#options
    return token !== undefined && url.startsWith(`${this.url}/v2/`)
      ? { authorization: `Bearer ${token}` }
      : {}
  }

  #limit(ms: number): Limit {
    const timer = new AbortController()
    const due = this.#options.clock.after(ms, () =>
      timer.abort(new SluiceError('timed-out', `no answer from ${this.url} within ${formatDuration(ms)}`)),
    )
    return {
      signal: AbortSignal.any([this.#options.signal, timer.signal]),
      [Symbol.dispose]: () => due[Symbol.dispose](),
    }
  }
}

interface Limit extends Disposable {
  readonly signal: AbortSignal
}

async function checkedText({ status, body }: Answer): Promise<string> {
  const text = await body.text()
  if (status >= 400) throw failureOf(status, text, 'internal')
  return text
}

function checkUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : ''
  if (protocol === 'http:' || protocol === 'https:') return url
  throw new SluiceError('invalid', 'FN_API_URL must be an http or https URL', {
    detail: `got ${quote(url)}; write it like http://127.0.0.1:8080`,
  })
}

function found<T>(item: T | undefined, kind: string, what: string, list: string): T {
  if (item !== undefined) return item
  throw new SluiceError('not-found', `${kind} not found`, { detail: `${what}; see "sluice ${list}"` })
}

function annotated(item: Fn | Trigger, key: string): string | undefined {
  const value = item.annotations?.[key]
  return typeof value === 'string' ? value : undefined
}

const quote = (text: string) => JSON.stringify(text)
