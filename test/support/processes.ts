import { readdirSync, readFileSync } from 'node:fs'

/** Ids of the processes of a function's containers, whichever driver made them: its id is in their environment. */
export function processesOf(fnId: string): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/environ`).includes(`FN_FN_ID=${fnId}`))
    .map(Number)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
