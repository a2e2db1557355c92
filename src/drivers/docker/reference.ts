import { SluiceError } from '../../core/errors.ts'
import { DriverError } from '../driver.ts'
import { type ImageReference, parseImage } from '../image.ts'

/** An image's name as an engine takes it. */
export interface ImageName {
  /** Canonical; `docker.io` for what has no registry of its own. */
  readonly registry: string
  /** As it was written, without tag and digest. */
  readonly name: string
  /** A tag, or the digest that wins over it. */
  readonly version: string
  /** To ask an engine for: `name:tag` or `name@digest`. */
  readonly ref: string
  /** The same for every spelling of the same image. */
  readonly key: string
}

const HUB = 'docker.io'
const HUB_HOSTS = new Set(['', HUB, 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])

/** The one spelling of a registry's address: without scheme, `/v1` and `/v2`; Docker Hub's many are one. */
export function canonicalRegistry(address: string): string {
  const host = address
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/\/v[12]$/, '')
  return HUB_HOSTS.has(host) ? HUB : host
}

/** @throws DriverError `bad-spec` when it names no image */
export function imageName(reference: string): ImageName {
  const { registry, repo, tag, digest } = parse(reference)
  const named = reference.split('@')[0] as string
  const name = named.endsWith(`:${tag}`) ? named.slice(0, -tag.length - 1) : named
  const host = canonicalRegistry(registry)
  const version = digest || tag
  const mark = digest ? '@' : ':'
  return {
    registry: host,
    name,
    version,
    ref: `${name}${mark}${version}`,
    key: `${host}/${repo}${mark}${version}`,
  }
}

/** The engines' grammar. It matters here because a name becomes part of a request's path. */
const GRAMMAR = {
  registry: /^$|^([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$/i,
  repo: /^[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(\/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$/,
  tag: /^\w[\w.-]{0,127}$/,
  digest: /^$|^[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,}$/i,
} as const

function parse(reference: string): ImageReference {
  try {
    const image = parseImage(reference)
    for (const part of ['registry', 'repo', 'tag', 'digest'] as const)
      if (!GRAMMAR[part].test(image[part]))
        throw new SluiceError('invalid', undefined, { detail: `its ${part} is not valid` })
    return image
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    const reason = error.detail ?? error.message
    throw new DriverError('bad-spec', `Failed to pull image '${reference}': ${reason}`, { cause: error })
  }
}
