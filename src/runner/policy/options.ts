import type { Clock } from '../../core/clock.ts'
import type { PauseRule } from './rest.ts'
import type { Work } from './work.ts'
import type { Resources } from './workload.ts'

export interface SchedulerOptions {
  readonly clock: Clock
  /** What all containers together may take. */
  readonly total: Resources
  /** Starts in flight; more only slow each other down. @default 2 */
  readonly maxStarts?: number
  /** Calls that may wait here; more are refused at once. @default 10000 */
  readonly maxWaiting?: number
  /** When idle containers are paused. @default 'adaptive' */
  readonly pause?: PauseRule
  /** `per-call`: one container for every waiting call, as today's Fn does; for comparison. @default 'expected' */
  readonly launch?: 'expected' | 'per-call'
  /** Counts what deciding costs; for tests. */
  readonly work?: Work
}
