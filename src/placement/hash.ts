/** 64 bits as two unsigned halves: BigInt is 25 times slower. */
export interface Hash64 {
  readonly hi: number
  readonly lo: number
}

/** The key of every Sluice and fnlb balancer: k0 = 0, k1 = "LaryBoat". */
const KEY = { k0: { hi: 0, lo: 0 }, k1: { hi: 0x4c617279, lo: 0x426f6174 } }

const encoder = new TextEncoder()

/** SipHash of a text's UTF-8 under the balancers' shared key. */
export const hashText = (text: string): Hash64 => sipHash(encoder.encode(text), KEY.k0, KEY.k1)

/** SipHash-2-4 (Aumasson and Bernstein, 2012). */
export function sipHash(message: Uint8Array, k0: Hash64, k1: Hash64): Hash64 {
  // v[2i] is the high half of the algorithm's v_i, v[2i + 1] the low one.
  const v = Uint32Array.of(
    0x736f6d65 ^ k0.hi,
    0x70736575 ^ k0.lo,
    0x646f7261 ^ k1.hi,
    0x6e646f6d ^ k1.lo,
    0x6c796765 ^ k0.hi,
    0x6e657261 ^ k0.lo,
    0x74656462 ^ k1.hi,
    0x79746573 ^ k1.lo,
  )
  const whole = message.length & ~7
  for (let at = 0; at < whole; at += 8) absorb(v, word(message, at + 4, 4), word(message, at, 4))
  const left = message.length - whole
  const high = (word(message, whole + 4, left - 4) | ((message.length & 0xff) << 24)) >>> 0
  absorb(v, high, word(message, whole, left))
  flip(v, 5, 0xff)
  for (let i = 0; i < 4; i++) round(v)
  for (const i of [2, 4, 6]) mix(v, 0, i)
  return { hi: half(v, 0), lo: half(v, 1) }
}

/**
 * Jump consistent hash (Lamping and Veach, 2014): a bucket in [0, buckets), each equally likely, and a new
 * last bucket takes its share from all the others and moves nothing else.
 */
export function jumpHash({ hi, lo }: Hash64, buckets: number): number {
  let bucket = -1
  let next = 0
  while (next < buckets) {
    bucket = next
    // key = key * 2862933555777941757 + 1 (mod 2^64), in halves
    const low = Math.imul(lo, MULTIPLIER.lo) + 1
    hi = (mulHigh(lo, MULTIPLIER.lo) + Math.imul(hi, MULTIPLIER.lo) + Math.imul(lo, MULTIPLIER.hi)) >>> 0
    if (low === 0) hi = (hi + 1) >>> 0
    lo = low >>> 0
    next = Math.floor(((bucket + 1) * 0x80000000) / ((hi >>> 1) + 1))
  }
  return bucket
}

const MULTIPLIER = { hi: 0x27bb2ee6, lo: 0x87b0b0fd }

/** The high half of the 64-bit product of two unsigned halves. */
function mulHigh(a: number, b: number): number {
  const al = a & 0xffff
  const ah = a >>> 16
  const bl = b & 0xffff
  const bh = b >>> 16
  const middle = ah * bl + ((al * bl) >>> 16)
  const carried = al * bh + (middle % 0x10000)
  return ah * bh + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000)
}

function absorb(v: Uint32Array, hi: number, lo: number): void {
  flip(v, 6, hi)
  flip(v, 7, lo)
  round(v)
  round(v)
  flip(v, 0, hi)
  flip(v, 1, lo)
}

function round(v: Uint32Array): void {
  add(v, 0, 2)
  rotate(v, 2, 13)
  mix(v, 2, 0)
  swap(v, 0)
  add(v, 4, 6)
  rotate(v, 6, 16)
  mix(v, 6, 4)
  add(v, 0, 6)
  rotate(v, 6, 21)
  mix(v, 6, 0)
  add(v, 4, 2)
  rotate(v, 2, 17)
  mix(v, 2, 4)
  swap(v, 4)
}

const half = (v: Uint32Array, i: number): number => v[i] as number

function flip(v: Uint32Array, i: number, bits: number): void {
  v[i] = half(v, i) ^ bits
}

function add(v: Uint32Array, to: number, from: number): void {
  const low = half(v, to + 1) + half(v, from + 1)
  v[to] = half(v, to) + half(v, from) + (low > 0xffffffff ? 1 : 0)
  v[to + 1] = low
}

function mix(v: Uint32Array, to: number, from: number): void {
  flip(v, to, half(v, from))
  flip(v, to + 1, half(v, from + 1))
}

/** Left by 1–31 bits. */
function rotate(v: Uint32Array, i: number, by: number): void {
  const hi = half(v, i)
  const lo = half(v, i + 1)
  v[i] = (hi << by) | (lo >>> (32 - by))
  v[i + 1] = (lo << by) | (hi >>> (32 - by))
}

/** Left by 32 bits. */
function swap(v: Uint32Array, i: number): void {
  const hi = half(v, i)
  v[i] = half(v, i + 1)
  v[i + 1] = hi
}

/** Up to four bytes from `at`, little-endian. */
function word(bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let i = Math.min(count, 4) - 1; i >= 0; i--) value = ((value << 8) | (bytes[at + i] as number)) >>> 0
  return value
}
