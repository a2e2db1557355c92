import { readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'

/** Whom a function on a network of its own asks for names. */
export interface Names {
  /** Servers by IPv4 that are not this machine's loopback. */
  readonly servers: readonly string[]
  /** A resolv.conf. */
  readonly text: string
}

/** The machine's own, and those that a resolver on its loopback asks itself. */
const PLACES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']

/** As libc reads them, no more than three. */
const SERVERS = 3

export function readNames(places: readonly string[] = PLACES): Names {
  for (const text of places.map(read)) {
    const servers = parse(text)
    if (servers.length > 0) return { servers, text: confFor(servers, text) }
  }
  return { servers: [], text: '' }
}

function parse(text: string): string[] {
  const all = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address]) => address as string)
  return all.filter((address) => isIPv4(address) && !/^(127|0)\./.test(address)).slice(0, SERVERS)
}

const confFor = (servers: readonly string[], text: string): string =>
  [
    ...(text.match(/^\s*(search|domain|options)\s.*$/gm) ?? []),
    ...servers.map((address) => `nameserver ${address}`),
    '',
  ].join('\n')

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
