import { isUtf8 } from 'node:buffer'

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
