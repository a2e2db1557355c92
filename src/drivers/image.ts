import { SluiceError } from '../core/errors.ts'

/** The parts of an image's name. What is absent is '', except the tag. */
export interface ImageReference {
  /** Host and port; '' = the engine's default registry. */
  readonly registry: string
  /** With `library/` before a bare name. */
  readonly repo: string
  /** @default 'latest', also beside a digest */
  readonly tag: string
  /** `<algorithm>:<hex>`, which wins over the tag. */
  readonly digest: string
}

/**
 * Splits `[registry/]repo[:tag][@digest]`. The first part is a registry when it could be a host: it has a dot or a
 * port, or is `localhost`.
 * @throws SluiceError `invalid` without a repository
 */
export function parseImage(reference: string): ImageReference {
  const [named, digest] = cut(reference, reference.indexOf('@'))
  const colon = named.lastIndexOf(':')
  const [path, tag] = cut(named, named.includes('/', colon) ? -1 : colon)
  const slash = path.indexOf('/')
  const host = slash < 0 ? '' : path.slice(0, slash)
  const registry = /[.:]/.test(host) || host === 'localhost' ? host : ''
  const repo = registry === '' ? path : path.slice(slash + 1)
  if (repo === '')
    throw new SluiceError('invalid', undefined, {
      detail: `image must name a repository, got ${JSON.stringify(reference)}`,
    })
  return { registry, repo: slash < 0 ? `library/${repo}` : repo, tag: tag || 'latest', digest }
}

/** What is before and after a character; all and nothing when it is not there. */
function cut(text: string, at: number): [string, string] {
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
