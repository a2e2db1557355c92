import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'

export const NO_CORE_LIMIT =
  'There is no prlimit (util-linux) here: the memory of a function that crashes may be written to a file.'

/**
 * What goes before a command, so that the kernel never writes its memory to a file: nothing where it would not
 * anyway, `undefined` where there is no such program.
 */
export async function findCoreLimit(): Promise<readonly string[] | undefined> {
  return dumpsCore() ? findWrapper('prlimit', ['--core=0', '--']) : []
}

/**
 * A program that changes something of its process and becomes the command after it; `undefined` unless it works here.
 * By path: a function's own PATH must not decide.
 */
export async function findWrapper(
  name: string,
  args: readonly string[],
): Promise<readonly string[] | undefined> {
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
