/** A number in [0, 1). Tests and the simulator pass a seeded one. */
export type Random = () => number

export const systemRandom: Random = () => Math.random()

/** The same numbers for the same seed (mulberry32: 32 bits of state, not for secrets). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
