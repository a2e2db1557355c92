import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

const PLACES = [
  ...['/usr/bin', '/bin', '/usr/sbin', '/sbin'],
  ...['/usr/local/bin', '/usr/local/sbin', '/run/current-system/sw/bin'],
]

/** Path of a program, `undefined` where it is not installed. What a PATH says does not count. */
export function findProgram(name: string, places: readonly string[] = PLACES): string | undefined {
  return places.map((place) => join(place, name)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
