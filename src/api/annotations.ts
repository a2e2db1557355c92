import type { Annotations } from '../core/words.ts'
import { byteLength, check } from './check.ts'

/** Where to call a function; added to replies, never stored. The official client does not invoke without it. */
export const INVOKE_ENDPOINT = 'fnproject.io/fn/invokeEndpoint'
/** Where a trigger listens; added to replies, never stored. */
export const HTTP_ENDPOINT = 'fnproject.io/trigger/httpEndpoint'

const MAX_KEYS = 100

/** What a client may set: clients send back what they have read, the endpoints included. */
export const withoutEndpoints = (sent: Annotations = {}): Annotations =>
  Object.fromEntries(Object.entries(sent).filter(([key]) => key !== INVOKE_ENDPOINT && key !== HTTP_ENDPOINT))

/** @param thing whose they are: `app` */
export function checkAnnotations(thing: string, annotations: Annotations): void {
  for (const [key, value] of Object.entries(annotations)) checkAnnotation(thing, key, value)
  const keys = Object.keys(annotations).length
  check(
    keys <= MAX_KEYS,
    'Invalid annotation change, new key(s) exceed maximum permitted number of annotations keys (100)',
    `${thing} annotations`,
    `have at most ${MAX_KEYS} keys`,
    keys,
  )
}

function checkAnnotation(thing: string, key: string, value: unknown): void {
  check(
    /^[!-~]+$/.test(key),
    'Invalid annotation key, annotation keys must be non-empty ascii strings excluding whitespace',
    `${thing} annotation key`,
    'be printable ASCII without white space',
    key,
  )
  check(
    key.length <= 128,
    'Invalid annotation key length, annotation keys may not be larger than 128 bytes',
    `${thing} annotation key`,
    'be at most 128 bytes',
    key,
  )
  check(
    value !== null && value !== '',
    'Invalid annotation value, annotation values may only be non-empty strings, numbers, objects, or arrays',
    `${thing} annotation ${key}`,
    'be neither null nor ""',
    value,
  )
  const length = byteLength(JSON.stringify(value))
  check(
    length <= 512,
    'Invalid annotation value length, annotation values may not be larger than 512 bytes when serialized as JSON',
    `${thing} annotation ${key}`,
    'be at most 512 bytes as JSON',
    length,
  )
}
