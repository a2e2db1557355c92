import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import {
  api,
  type ContainerInfo,
  type ContainerSettings,
  type ContainerSummary,
  type ImageInfo,
} from '../../src/drivers/docker/api.ts'
import { type EngineClient, type EngineRequest, engineClient } from '../../src/drivers/docker/client.ts'

/** A line of what an engine says while it works. */
export interface EngineEvent {
  readonly error?: string
  readonly aux?: { readonly Digest?: string }
}

interface LabelledImage extends ImageInfo {
  readonly Config?: ImageInfo['Config'] & { readonly Labels?: Readonly<Record<string, string>> }
}

/** An engine, as tests look into it and prepare it: what no driver does is here and not in the driver's table. */
export class Docker {
  readonly #client: EngineClient

  constructor(host: string) {
    this.#client = engineClient(host || 'unix:///none')
  }

  ask<T>(request: EngineRequest<T>): Promise<T> {
    return this.#client.send({ ...request, headers: { Connection: 'close', ...request.headers } }, never)
  }

  ping(): Promise<string> {
    return this.ask({ method: 'GET', path: '/_ping', read: text })
  }

  containers(label?: string): Promise<readonly ContainerSummary[]> {
    return this.ask(api.containers(label))
  }

  async create(settings: ContainerSettings): Promise<string> {
    return (await this.ask(api.create(settings))).Id
  }

  inspect(id: string): Promise<ContainerInfo> {
    return this.ask(api.inspect(id))
  }

  /** Its output, in frames. */
  attach(id: string): Promise<Readable> {
    return this.#client.upgrade(api.attach(id, { stdin: 0, stdout: 1, stderr: 1 }), never)
  }

  start(id: string): Promise<void> {
    return this.ask(api.start(id))
  }

  /** @returns its exit code */
  async wait(id: string): Promise<number> {
    return JSON.parse(await this.ask({ ...api.wait(id), read: text })).StatusCode
  }

  remove(id: string): Promise<void> {
    return this.ask(api.remove(id))
  }

  inspectImage(ref: string): Promise<LabelledImage> {
    return this.ask(api.inspectImage(ref) as EngineRequest<LabelledImage>)
  }

  removeImage(ref: string, force = false): Promise<void> {
    const request = api.removeImage(ref)
    return this.ask({ ...request, query: { force } })
  }

  tag(ref: string, repo: string, tag: string): Promise<string> {
    return this.#work(`/images/${ref}/tag`, { repo, tag })
  }

  load(archive: Readable): Promise<EngineEvent[]> {
    return this.ask({ ...api.load(archive), read: async (res) => eventsIn(await text(res)) })
  }

  /** Makes an image of the files of an archive, with lines of a Dockerfile. */
  async importImage(
    archive: AsyncIterable<unknown>,
    { repo, tag, changes = [] }: { repo: string; tag: string; changes?: readonly string[] },
  ): Promise<EngineEvent[]> {
    const query = new URLSearchParams([
      ['fromSrc', '-'],
      ['repo', repo],
      ['tag', tag],
    ])
    for (const change of changes) query.append('changes', change)
    return eventsIn(await this.#work(`/images/create?${query}`, {}, { body: Readable.from(archive) }))
  }

  async build(archive: AsyncIterable<unknown>, t: string): Promise<EngineEvent[]> {
    return eventsIn(await this.#work('/build', { t, forcerm: true }, { body: Readable.from(archive) }))
  }

  async push(ref: string, auth: object): Promise<EngineEvent[]> {
    const key = Buffer.from(JSON.stringify(auth)).toString('base64url')
    const padded = key.padEnd(Math.ceil(key.length / 4) * 4, '=')
    const [, name, tag] = /^(.*):(.*)$/.exec(ref) as unknown as [string, string, string]
    const headers = { 'X-Registry-Auth': padded }
    return eventsIn(await this.#work(`/images/${name}/push`, { tag }, { headers }))
  }

  #work(path: string, query: object, more: object = {}): Promise<string> {
    return this.ask({ method: 'POST', path, query: { ...query }, ...more, read: text })
  }
}

const never = new AbortController().signal

/** @throws Error what went wrong, which is one of the lines */
function eventsIn(answer: string): EngineEvent[] {
  const lines = answer.split('\n').filter((line) => line.trim() !== '')
  const events: EngineEvent[] = lines.map((line) => JSON.parse(line))
  const failed = events.find(({ error }) => error)
  if (failed) throw new Error(failed.error)
  return events
}
