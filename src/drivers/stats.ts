import type { Stat } from './driver.ts'

/**
 * The mean of samples, or `undefined` of none; of each metric over those that have it. Metrics are rounded down to
 * whole numbers, times to the millisecond.
 */
export function average(samples: readonly Stat[]): Stat | undefined {
  if (samples.length <= 1) return samples[0]
  const values = new Map<string, number[]>()
  for (const { metrics } of samples)
    for (const [name, value] of Object.entries(metrics))
      values.set(name, [...(values.get(name) ?? []), value])
  const metrics = Object.fromEntries([...values].map(([name, all]) => [name, Math.floor(meanOf(all))]))
  return { timestamp: meanTime(samples), metrics }
}

/**
 * At most `max` samples (sorted by time) that stand for all of them: time is cut into `max` windows of equal length,
 * and each that holds any gives their mean. `stats` itself when it is short enough.
 */
export function decimate(max: number, stats: readonly Stat[]): readonly Stat[] {
  const [first, last] = [stats[0], stats.at(-1)]
  if (stats.length <= max || !first || !last || max <= 0) return max <= 0 ? [] : stats
  const window = longer((nanos(last) - nanos(first)) / BigInt(max))
  const means: Stat[] = []
  let taken = 0
  for (let end = nanos(first) + window; taken < stats.length; end += window) {
    const from = taken
    const rest = means.length === max - 1
    while (taken < stats.length && (rest || nanos(stats[taken] as Stat) <= end)) taken++
    const mean = average(stats.slice(from, taken))
    if (mean) means.push(mean)
  }
  return means
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

const NANOS = 1_000_000n

/** Whole nanoseconds, so that windows of a fraction of a millisecond do not add up to an error. */
const nanos = ({ timestamp }: Stat): bigint => BigInt(timestamp.getTime()) * NANOS

/** A window of no length would never reach the end. */
const longer = (window: bigint): bigint => (window > 0n ? window : 1n)

/** Adds up parts instead of dividing the sum, as the collectors that read these numbers have since 2017. */
function meanTime(samples: readonly Stat[]): Date {
  const count = BigInt(samples.length)
  const sum = samples.reduce((sum, sample) => sum + nanos(sample) / count, 0n)
  return new Date(Number(sum / NANOS))
}
