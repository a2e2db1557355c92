import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'

/** What a child's descriptors from 3 on are to be: `ignore` leaves them alone, a number stands in their place. */
export interface Shield extends Disposable {
  readonly stdio: readonly ('ignore' | number)[]
}

/**
 * Keeps from children what this process itself inherited: a descriptor that whoever started it left open would go
 * on to every function. They get /dev/null in its place. (What Node opens never reaches a child.)
 */
export function shieldInherited(): Shield {
  const open = inherited()
  if (open.length === 0) return { stdio: [], [Symbol.dispose]() {} }
  const nothing = openSync('/dev/null', 'r+')
  const stdio = Array.from({ length: Math.max(...open) - 2 }, (_, i) =>
    open.includes(i + 3) ? nothing : 'ignore',
  )
  let held = true
  return {
    stdio,
    [Symbol.dispose]() {
      if (held) closeSync(nothing)
      held = false
    },
  }
}

const CLOSE_ON_EXEC = 0o2000000

function inherited(): number[] {
  try {
    return readdirSync('/proc/self/fdinfo')
      .map(Number)
      .filter((fd) => fd > 2 && !closesOnExec(fd))
  } catch {
    return [] // no /proc: nobody can tell
  }
}

function closesOnExec(fd: number): boolean {
  try {
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
    return flags === undefined || (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) !== 0
  } catch {
    return true // closed in the meantime
  }
}
