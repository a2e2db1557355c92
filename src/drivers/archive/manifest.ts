import { createHash } from 'node:crypto'
import { ARCHITECTURE } from '../architecture.ts'
import { type ImageReference, parseImage } from '../image.ts'
import { isDigest, isTexts, type Loose, type ParsedConfig, parseConfig, parseJson } from './config.ts'
import { type Place, readSmall } from './place.ts'
import { refuse } from './refuse.ts'

/** One image of a place, for this machine's processor. */
export interface ArchivedImage {
  /** Hex of its config's digest, which stands for all of it. */
  readonly id: string
  readonly place: Place
  /** Full names with tags. */
  readonly names: readonly string[]
  /** Of its index, manifest and config. */
  readonly digests: readonly string[]
  readonly config: ParsedConfig
  /** Paths in the place, lowest first. */
  readonly layers: readonly string[]
}

/**
 * The images of a place: an OCI layout, or a `docker save` archive.
 * @param title a repository for images that have only a tag
 * @throws DriverError `bad-spec` when it is neither, or broken
 */
export async function readImages(place: Place, title: string, signal: AbortSignal): Promise<ArchivedImage[]> {
  if (place.has('index.json') && place.has('oci-layout')) return readLayout(place, title, signal)
  if (place.has('manifest.json')) return readDocker(place, signal)
  throw refuse('it is neither an OCI layout nor a docker save archive')
}

/** Whether a reference means an image. A digest says all by itself. */
export function isNamed({ names, digests }: ArchivedImage, wanted: ImageReference): boolean {
  if (wanted.digest !== '') return digests.includes(wanted.digest)
  return names.some((name) => fullName(parseImage(name)) === fullName(wanted))
}

const DEFAULT_REGISTRY = /^(index\.|registry-1\.)?docker\.io$/

function fullName({ registry, repo, tag }: ImageReference): string {
  const host = registry === '' || DEFAULT_REGISTRY.test(registry) ? 'docker.io' : registry
  return `${host}/${host === 'docker.io' && !repo.includes('/') ? 'library/' : ''}${repo}:${tag}`
}

async function readDocker(place: Place, signal: AbortSignal): Promise<ArchivedImage[]> {
  const manifests = parseJson(String(await readSmall(place, 'manifest.json', signal)))
  if (!Array.isArray(manifests)) throw refuse('its manifest.json is no list')
  const images: ArchivedImage[] = []
  for (const manifest of manifests as Loose[]) {
    const { Config, RepoTags, Layers } = manifest
    if (typeof Config !== 'string' || !isTexts(Layers))
      throw refuse('its manifest.json names no config and layers')
    const digest = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(Config)?.[1]
    const config = await readConfig(place, Config, digest && `sha256:${digest}`, signal)
    images.push(imageOf(place, config, Layers, isTexts(RepoTags) ? RepoTags : [], []))
  }
  return images
}

async function readLayout(place: Place, title: string, signal: AbortSignal): Promise<ArchivedImage[]> {
  const index = parseJson(String(await readSmall(place, 'index.json', signal))) as Loose
  const images: ArchivedImage[] = []
  const descriptors = listOf(index['manifests'])
  for (const descriptor of descriptors.filter(isForHere)) {
    const names = namesOf(descriptor, title, descriptors.length === 1)
    images.push(await follow(place, descriptor, names, [], signal))
  }
  if (images.length === 0) throw refuse(`it has no image for linux/${ARCHITECTURE}`)
  return images
}

/** Nothing real is nested deeper. */
const DEPTH = 4

/** From a descriptor through nested indexes to this machine's image. */
async function follow(
  place: Place,
  descriptor: Loose,
  names: readonly string[],
  above: readonly string[],
  signal: AbortSignal,
): Promise<ArchivedImage> {
  const digest = digestOf(descriptor)
  const manifest = parseJson(String(await readBlob(place, blobPath(digest), digest, signal))) as Loose
  const digests = [...above, digest]
  if (manifest['manifests'] !== undefined) {
    const next = listOf(manifest['manifests']).find(isForHere)
    if (!next) throw refuse(`it has no image for linux/${ARCHITECTURE}`)
    if (digests.length >= DEPTH) throw refuse('its indexes are nested too deep')
    return follow(place, next, names, digests, signal)
  }
  const configDigest = digestOf(manifest['config'])
  const config = await readConfig(place, blobPath(configDigest), configDigest, signal)
  const layers = listOf(manifest['layers']).map((layer) => blobPath(digestOf(layer)))
  return imageOf(place, config, layers, names, digests)
}

function imageOf(
  place: Place,
  { digest, ...config }: ParsedConfig & { readonly digest: string },
  layers: readonly string[],
  names: readonly string[],
  digests: readonly string[],
): ArchivedImage {
  if (layers.length !== config.diffIds.length) throw refuse('its manifest and config differ in their layers')
  return {
    id: digest.slice('sha256:'.length),
    place,
    names: names.filter(isName),
    digests: [...digests, digest],
    config,
    layers,
  }
}

async function readConfig(place: Place, path: string, digest: string | undefined, signal: AbortSignal) {
  const bytes = await readBlob(place, path, digest, signal)
  return { ...parseConfig(String(bytes)), digest: sha256(bytes) }
}

async function readBlob(place: Place, path: string, digest: string | undefined, signal: AbortSignal) {
  const bytes = await readSmall(place, path, signal)
  if (digest !== undefined && sha256(bytes) !== digest) throw refuse(`${path} is not what its digest says`)
  return bytes
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const blobPath = (digest: string) => `blobs/${digest.replace(':', '/')}`

function digestOf(descriptor: unknown): string {
  const digest = (descriptor as Loose | null | undefined)?.['digest']
  if (typeof digest === 'string' && isDigest(digest)) return digest
  throw refuse(`it has a digest that is none: ${JSON.stringify(digest)}`)
}

function listOf(value: unknown): Loose[] {
  if (Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null)) return value
  throw refuse('its manifest or index is not complete')
}

function isForHere({ platform }: Loose): boolean {
  const { os, architecture } = (platform ?? {}) as Loose
  return (os ?? 'linux') === 'linux' && (architecture ?? ARCHITECTURE) === ARCHITECTURE
}

function namesOf(descriptor: Loose, title: string, only: boolean): string[] {
  const { annotations } = descriptor
  const { 'io.containerd.image.name': full, 'org.opencontainers.image.ref.name': name } = (annotations ??
    {}) as Loose
  if (typeof full === 'string') return [full]
  if (typeof name === 'string') return [/[/:]/.test(name) ? name : `${title}:${name}`]
  return only ? [`${title}:latest`] : []
}

function isName(name: string): boolean {
  try {
    return parseImage(name).repo !== ''
  } catch {
    return false
  }
}
