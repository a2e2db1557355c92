import type { Clock } from '../core/clock.ts'
import type { Container, ContainerSpec } from './driver.ts'

/** Ends a cold container when its time is up, counted from `startedAt`. A hot one is stopped by its runner. */
export function limitTime(
  { mode, timeout }: Pick<ContainerSpec, 'mode' | 'timeout'>,
  { ended, stop }: Pick<Container, 'ended' | 'stop'>,
  { clock, startedAt }: { readonly clock: Clock; readonly startedAt: number },
): void {
  if (mode !== 'cold' || timeout <= 0) return
  const limit = clock.after(Math.max(0, startedAt + timeout - clock.now()), () => stop('timeout'))
  void ended.then(() => limit[Symbol.dispose]())
}
