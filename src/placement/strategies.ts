import { SluiceError } from '../core/errors.ts'
import { STRATEGY_NAMES, type StrategyName } from '../core/words.ts'
import { fnlb } from './fnlb.ts'
import type { PlacementFactory } from './placement.ts'
import { roundRobin } from './round-robin.ts'

/** Every strategy that can be asked for, by name. */
export const STRATEGIES: Readonly<Record<StrategyName, PlacementFactory>> = {
  fnlb,
  'round-robin': roundRobin,
}

/** @throws SluiceError `invalid` naming the strategies there are */
export function strategyOf(name: string): PlacementFactory {
  const known = STRATEGY_NAMES.find((strategy) => strategy === name)
  if (known) return STRATEGIES[known]
  throw new SluiceError('invalid', 'Unknown strategy', {
    detail: `strategy must be one of ${STRATEGY_NAMES.join(', ')}, got ${JSON.stringify(name)}`,
  })
}
