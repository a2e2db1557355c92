import type { RunResult, StopReason } from '../driver.ts'
import type { Exit } from './launch.ts'

/** What this process knows of how a container ended. */
export interface Verdict {
  /** Why it was to be stopped. */
  reason: StopReason | undefined
  /** The kernel counted that it killed for memory. */
  outOfMemory: boolean
  startedAt: number
}

/** What the shell and bubblewrap say of a program that a signal ended. */
const KILLED = 128 + 9

/** One that ended well just before it was to be stopped has ended well. */
export function classify(exit: Exit, { reason, outOfMemory, startedAt }: Verdict): RunResult {
  const { exitCode, signal, complaint } = exit
  const known = { oom: outOfMemory, startedAt }
  const stopped = exitCode === KILLED && (reason !== undefined || outOfMemory)
  const code = exitCode === undefined || stopped ? {} : { exitCode }
  if (outOfMemory) return { ...known, ...code, status: reason ?? 'killed', error: 'out of memory error' }
  if (exitCode === 0) return { ...known, status: 'success', exitCode }
  if (reason) return { ...known, ...code, status: reason }
  if (exitCode !== undefined) return { ...known, status: 'error', exitCode, error: `exit code ${exitCode}` }
  if (signal) return { ...known, status: 'killed', error: `killed by ${signal}` }
  return { ...known, status: 'error', ...refused(complaint) }
}

/** As a shell says that a program was not found, or could not be run. */
function refused(complaint: string): Pick<RunResult, 'exitCode' | 'error'> {
  const [, why] = /^execvp (.*)$/.exec(complaint) ?? []
  if (why === undefined) return { error: complaint || 'the sandbox ended' }
  return { exitCode: complaint.endsWith('No such file or directory') ? 127 : 126, error: `cannot run ${why}` }
}
