import { SluiceError } from '../core/errors.ts'
import { quote } from './check.ts'

/** Takes a field's value out of JSON; `undefined` = the wrong type. `type` says what it should be. */
export interface Reader<T> {
  readonly type: string
  read(value: unknown): T | undefined
}

export type Fields = Readonly<Record<string, Reader<unknown>>>

/** The fields that were given: neither absent nor null. */
export type Body<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Reader<infer T> ? T : never
}

type Members = Readonly<Record<string, unknown>>

/**
 * The first JSON value of a request's body; what follows it and unknown fields are ignored, names match in any case.
 * @throws SluiceError `invalid-json`
 */
export function readBody<F extends Fields>(body: unknown, fields: F): Body<F> {
  const given = new Map<string, unknown>()
  for (const [name, value] of Object.entries(parseObject(body))) given.set(name.toLowerCase(), value)
  const result: Record<string, unknown> = {}
  for (const [name, reader] of Object.entries(fields)) {
    const value = given.get(name)
    if (value === undefined || value === null) continue
    result[name] = reader.read(value)
    if (result[name] === undefined) throw invalidJson(`${name} must be ${reader.type}, got ${quote(value)}`)
  }
  return result as Body<F>
}

function parseObject(body: unknown): Members {
  const text = Buffer.isBuffer(body) ? body.toString() : ''
  const start = text.search(/[^ \t\r\n]/)
  if (start < 0) throw invalidJson('the body must be a JSON object, got nothing')
  if (/^null(?!\w)/.test(text.slice(start, start + 5))) return {}
  if (text[start] !== '{') throw invalidJson(`the body must be a JSON object, got ${quote(text)}`)
  const end = findEnd(text, start)
  if (end === undefined) throw invalidJson('the body must be a JSON object, got one without an end')
  try {
    return JSON.parse(text.slice(start, end)) as Members
  } catch (cause) {
    throw new SluiceError('invalid-json', undefined, { cause, detail: (cause as Error).message })
  }
}

/** Deeper than any value that is allowed, and far from what would exhaust the stack. */
const MAX_DEPTH = 500

/** Where the object that starts at `start` ends. */
function findEnd(text: string, start: number): number | undefined {
  let depth = 0
  let quoted = false
  for (let i = start; i < text.length; i++) {
    const char = text[i]
    if (quoted) {
      if (char === '\\') i++
      else if (char === '"') quoted = false
    } else if (char === '"') quoted = true
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
    if (depth === 0) return i + 1
    if (depth > MAX_DEPTH) throw invalidJson(`the body must not nest deeper than ${MAX_DEPTH}`)
  }
  return undefined
}

const invalidJson = (detail: string) => new SluiceError('invalid-json', undefined, { detail })

/** Text, with U+FFFD in place of lone surrogates: what is stored is what is sent back. */
export const text: Reader<string> = {
  type: 'a string',
  read: (value) => (typeof value === 'string' ? value.toWellFormed() : undefined),
}

/** A whole number; its range is a rule of the resource. */
export const whole: Reader<number> = {
  type: 'a whole number',
  read: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
}

/** A whole number of a type without a sign. */
export const count: Reader<number> = {
  type: 'a whole number, not negative',
  read: (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined),
}

/** An object of strings; null counts as "". */
export const texts: Reader<Readonly<Record<string, string>>> = {
  type: 'an object of strings',
  read(value) {
    if (!isObject(value)) return undefined
    const entries = Object.entries(value).map(([key, it]) => [key.toWellFormed(), it ?? ''] as const)
    if (!entries.every(([, it]) => typeof it === 'string')) return undefined
    return Object.fromEntries(entries) as Record<string, string>
  },
}

/** An object of anything. */
export const values: Reader<Readonly<Record<string, unknown>>> = {
  type: 'an object',
  read: (value) => (isObject(value) ? value : undefined),
}

/** Whatever it is; the resource checks it. */
export const anything: Reader<unknown> = { type: 'a value', read: (value) => value }

const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/

/** A time of RFC 3339, or "" for none. Clients send year 1 when they mean none. */
export const time: Reader<string> = {
  type: 'a time like 2019-04-11T10:00:00.000Z',
  read(value) {
    if (typeof value !== 'string') return undefined
    if (value === '') return ''
    if (!TIME.test(value) || Number.isNaN(Date.parse(value))) return undefined
    return value.startsWith('0001-') ? '' : value
  },
}

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
