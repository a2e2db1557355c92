import { findCoreLimit, findWrapper, NO_CORE_LIMIT } from '../core-limit.ts'

/** What goes before every command: programs that change something of the process and become the command. */
export interface Prefix {
  readonly prefix: readonly string[]
  /** What is missing here and what follows. */
  readonly warnings: readonly string[]
}

const NO_TIE =
  'There is no setpriv (util-linux) here: functions outlive a killed node until the next one starts in its data folder.'

/** The kernel kills a function when this process dies, and never writes its memory to a file. */
export async function findPrefix(): Promise<Prefix> {
  const tie = await findWrapper('setpriv', ['--pdeathsig', 'KILL', '--'])
  const noCore = await findCoreLimit()
  return {
    prefix: [...(noCore ?? []), ...(tie ?? [])],
    warnings: [...(tie ? [] : [NO_TIE]), ...(noCore ? [] : [NO_CORE_LIMIT])],
  }
}
