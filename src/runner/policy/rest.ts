/**
 * When an idle container is paused: `never`, after a fixed time in milliseconds, or `adaptive`.
 */
export type PauseRule = 'never' | 'adaptive' | number

const SHORTEST = 1_000
const UNKNOWN = 5_000
const GAPS = 4

/**
 * Milliseconds of idleness after which a container is paused. Adaptive: four times the usual gap between calls, at
 * least a second, so that no rhythm of calls pays for waking (of exponential gaps e⁻⁴ < 2 % are longer), while
 * what has fallen silent stops using CPU. Today's Fn pauses after 50 ms, and every sparse call pays 30 ms.
 * @param gap usual idle time of a container between calls, when known
 */
export function pauseAfter(rule: PauseRule, gap: number | undefined): number {
  if (rule === 'never') return Infinity
  if (rule !== 'adaptive') return rule
  return gap === undefined ? UNKNOWN : Math.max(SHORTEST, GAPS * gap)
}

/**
 * What keeping an idle container is worth, in milliseconds of start saved per second and share of the node: the
 * higher, the longer it stays. Its function is expected to come again after the usual gap, or, once it has been
 * idle longer than that, after as long as it has been idle already. Cost × frequency ÷ size is GreedyDual-Size
 * (Cao and Irani, USENIX 1997), as FaasCache (Fuerst and Sharma, ASPLOS 2021) uses it to keep functions warm.
 */
export const worth = (idleFor: number, gap: number | undefined, start: number, share: number): number =>
  1 / (slopeOf(start, share) * Math.max(idleFor, gap ?? 0, 1))

/** What an idle container is worth now. */
export const worthOf = (
  { slope, idleSince, gap }: { readonly slope: number; readonly idleSince: number; readonly gap: number },
  now: number,
): number => 1 / (slope * Math.max(now - idleSince, gap, 1))

/** How fast its worth falls while it is idle: what a part of a node costs, for what a start costs. */
export const slopeOf = (start: number, share: number): number =>
  Math.max(share, Number.EPSILON) / Math.max(start, 1)
