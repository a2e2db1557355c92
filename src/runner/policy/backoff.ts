const FIRST = 250
const LONGEST = 30_000

/**
 * Milliseconds until a function whose containers fail to start may try again: at once after the first failure,
 * which a fault of the moment may have caused, then 250 ms, doubling up to 30 s.
 * @param failures in a row
 */
export const backOff = (failures: number): number =>
  failures < 2 ? 0 : Math.min(LONGEST, FIRST * 2 ** (failures - 2))
