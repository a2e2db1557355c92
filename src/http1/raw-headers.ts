import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'

/** The values of a header among raw pairs, in order. @param name in lower case */
export const headerValues = (pairs: readonly string[], name: string): string[] =>
  pairs.filter((_, i) => i % 2 === 1 && pairs[i - 1]?.toLowerCase() === name)

/** The text of a header's value, which Node hands over as latin-1: UTF-8 where its bytes are that. */
export function headerText(value: string): string {
  const bytes = Buffer.from(value, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : value
}

/** The text of a header: of the last one of that name, since the platform adds its own at the end. */
export function headerOf(pairs: readonly string[], name: string): string | undefined {
  const value = headerValues(pairs, name).at(-1)
  return value === undefined ? undefined : headerText(value)
}

/** Headers by their names, and as bytes. @param pairs in latin-1 */
export function headersOf(pairs: readonly string[]): [byName: IncomingHttpHeaders, raw: Buffer[]] {
  const headers: Record<string, string> = Object.create(null)
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] as string).toLowerCase()
    const value = pairs[i + 1] as string
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return [headers, pairs.map((text) => Buffer.from(text, 'latin1'))]
}
