import type { Instance } from './instance.ts'
import type { Start } from './start.ts'
import type { Workload } from './workload.ts'

/**
 * Who carries out what a {@link Scheduler} decides: the runner with real containers, the simulator with virtual ones.
 * Each order is answered once, at once or later, by the method of the scheduler that is named here.
 */
export interface Hands<D extends Workload, B> {
  /** → `ready` or `failed` */
  start(start: Start<D, B>): void
  /** → `ended` */
  stop(instance: Instance<B>): void
  /** → `paused`, or `lost` when it cannot be */
  pause(instance: Instance<B>): void
  /** → `woken`, or `lost` when it cannot be */
  wake(instance: Instance<B>): void
}
