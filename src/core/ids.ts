import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

/**
 * Makes ids of 26 characters (Crockford base32 of 128 bits: 48 of milliseconds, 48 of this maker, 32 of counter).
 * They sort by time, and one maker never repeats itself, also when the clock steps back.
 */
export function idMaker(clock: Clock, random: Random): () => string {
  const maker = [0, 0, 0].map(() => Math.floor(random() * 0x10000))
  let last = 0
  let count = 0
  return () => {
    last = Math.max(last, Math.floor(clock.wall()))
    count = (count + 1) >>> 0
    const time = [Math.floor(last / 0x100000000), Math.floor(last / 0x10000) % 0x10000, last % 0x10000]
    return encode([...time, ...maker, count >>> 16, count & 0xffff])
  }
}

/** Whether `text` has the form of an id. */
export const isId = (text: string): boolean => ID.test(text)

/** 8 words of 16 bits → 26 digits of 5 bits, the first holding the 3 highest. */
function encode(words: readonly number[]): string {
  let text = ''
  let bits = 2 // 130 = 26 × 5 digits for 128 bits: two leading zero bits
  let held = 0
  for (const word of words) {
    held = held * 0x10000 + word
    bits += 16
    while (bits >= 5) {
      bits -= 5
      const digit = Math.floor(held / 2 ** bits)
      text += ALPHABET[digit]
      held -= digit * 2 ** bits
    }
  }
  return text
}
