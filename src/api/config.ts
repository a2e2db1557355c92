import type { Config } from '../core/words.ts'
import { byteLength, check } from './check.ts'

/** Bytes. A system takes at most 128 KiB for one variable and its name, and some MiB for all (execve(2)). */
const LONGEST_NAME = 255
const LONGEST_VALUE = 65_536
/** Of one resource; a function gets its app's too. */
const MOST = 262_144

/**
 * Config becomes the environment of containers: what no environment can hold is refused.
 * @param thing whose it is: `app`
 */
export function checkConfig(thing: string, config: Config): void {
  let total = 0
  for (const [name, value] of Object.entries(config)) {
    checkName(thing, name)
    const length = byteLength(value)
    const field = `${thing} config ${name}`
    check(!value.includes('\0'), 'Invalid config value', field, 'have no NUL', value)
    check(length <= LONGEST_VALUE, 'Invalid config value', field, `be at most ${LONGEST_VALUE} bytes`, length)
    total += byteLength(name) + length
  }
  check(total <= MOST, 'Invalid config', `${thing} config`, `be at most ${MOST} bytes in all`, total)
}

function checkName(thing: string, name: string): void {
  const refuse = (ok: boolean, rule: string) =>
    check(ok, 'Invalid config name', `${thing} config name`, rule, name)
  refuse(name !== '', 'be given')
  refuse(!/[=\0]/.test(name), 'have neither "=" nor NUL')
  refuse(byteLength(name) <= LONGEST_NAME, `be at most ${LONGEST_NAME} bytes`)
}
