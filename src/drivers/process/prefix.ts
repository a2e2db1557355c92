import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What goes before every command: programs that change something of the process and become the command. */
export interface Prefix {
  readonly prefix: readonly string[]
  /** What is missing here and what follows. */
  readonly warnings: readonly string[]
}

const NO_TIE =
  'There is no setpriv (util-linux) here: functions outlive a killed node until the next one starts in its data folder.'
const NO_CORE_LIMIT =
  'There is no prlimit (util-linux) here: the memory of a function that crashes may be written to a file.'

/** The kernel kills a function when this process dies, and never writes its memory to a file. */
export async function findPrefix(): Promise<Prefix> {
  const tie = await find('setpriv', ['--pdeathsig', 'KILL', '--'])
  const noCore = dumpsCore() ? await find('prlimit', ['--core=0', '--']) : []
  return {
    prefix: [...(noCore ?? []), ...(tie ?? [])],
    warnings: [...(tie ? [] : [NO_TIE]), ...(noCore ? [] : [NO_CORE_LIMIT])],
  }
}

/** `undefined` unless it works here. By path: a function's own PATH must not decide what ties it. */
async function find(name: string, args: readonly string[]): Promise<readonly string[] | undefined> {
  for (const dir of ['/usr/bin', '/bin', '/usr/local/bin']) {
    const command = [`${dir}/${name}`, ...args]
    if (await succeeds([...command, `${dir}/${name}`, '--version'])) return command
  }
  return undefined
}

function dumpsCore(): boolean {
  try {
    return !/^Max core file size +0 /m.test(readFileSync('/proc/self/limits', 'latin1'))
  } catch {
    return true
  }
}

function succeeds([program, ...args]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program as string, args, { timeout: 5_000 }, (error) => resolve(error === null))
  })
}
