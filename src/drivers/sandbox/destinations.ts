import { BlockList, isIPv4 } from 'node:net'

/** Ranges of addresses of other machines, as `10.1.0.0/16`; a single address is a range too. IPv4. */
export interface Reach {
  /** What functions may reach although it is private. @default none */
  readonly allow?: readonly string[]
  /** What they may not reach although it is public: nodes, balancers, the store. @default none */
  readonly deny?: readonly string[]
}

/** No network of its own is any of these: this host, loopback, link-local, groups, what is reserved. */
const NEVER = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3']

/** Where machines of one owner are among themselves, nodes and stores with them. */
const PRIVATE = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
]

/** In the range that nobody has: what a machine's own network could be must not be hidden by it. */
export const OWN_NETWORK = '240.0.0.0/24'
const OWN_ADDRESS = '240.0.0.100'
const GATEWAY = '240.0.0.2'
export const DEVICE = 'out0'

/** Routing table of those who are asked for names: they may be reached by that question alone. */
const NAMES_TABLE = 53

/** @throws RangeError for what is no range, or may never be allowed */
export function checkReach({ allow = [], deny = [] }: Reach): void {
  for (const range of [...allow, ...deny])
    if (!isRange(range))
      throw new RangeError(`what functions may reach must be IPv4 ranges like 10.1.0.0/16, got ${range}`)
  const wrong = allow.find((range) => isWithin(range, NEVER))
  if (wrong !== undefined) throw new RangeError(`functions cannot be allowed to reach ${wrong}`)
}

function isRange(text: string): boolean {
  const [address = '', bits = '32', ...more] = text.split('/')
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) <= 32 && more.length === 0
}

/** Without the bits that name a machine in the range: a route has none. */
function plain(range: string): string {
  const [address = '', bits = '32'] = range.split('/')
  const mask = 2 ** 32 - 2 ** (32 - Number(bits))
  const number = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  const kept = (number & mask) >>> 0
  return `${[24, 16, 8, 0].map((shift) => (kept >>> shift) & 255).join('.')}/${bits}`
}

function isWithin(range: string, ranges: readonly string[]): boolean {
  const list = new BlockList()
  for (const [address = '', bits = '32'] of ranges.map((range) => range.split('/')))
    list.addSubnet(address, Number(bits))
  return list.check(range.split('/')[0] as string)
}

/**
 * The machine's own addresses with its broadcast ones, out of /proc/net/fib_trie: also of interfaces that are down,
 * which answer all the same.
 */
export function parseOwn(trie: string): string[] {
  const own = new Set<string>()
  let address = ''
  for (const line of trie.split('\n')) {
    address = /\|-- (\S+)/.exec(line)?.[1] ?? address
    const [, bits] = /^\s+\/(\d+) \w+ (?:LOCAL|BROADCAST)$/.exec(line) ?? []
    if (bits !== undefined) own.add(`${address}/${bits}`)
  }
  return [...own]
}

/**
 * What closes a network, in the words of `ip -batch`. Of two routes the more exact one holds, of equals the last: the
 * machine itself stays closed whatever was allowed.
 *
 * A packet that is bound to the device asks for its route among the device's own only, and where that is refused, for
 * the hardware address of its destination: so nothing in this network may answer for any address, and loopback needs
 * a refusal of its own.
 */
export function closing(own: readonly string[], { allow = [], deny = [] }: Reach): string[] {
  const closed = new Set([...own, ...NEVER])
  const open = allow.filter((range) => !isWithin(range, [...closed]))
  return [
    ...PRIVATE.map(prohibit),
    ...open.map((range) => `route replace ${plain(range)} via ${GATEWAY} dev ${DEVICE} onlink`),
    ...deny.map(prohibit),
    ...[...closed].map(prohibit),
  ]
}

/** `prohibit` answers the function at once, with EACCES. */
const prohibit = (range: string): string => `route replace prohibit ${plain(range)}`

/** What opens a network that is closed. Last of all, so that there is no moment in which more is open. */
export function opening(nameservers: readonly string[]): string[] {
  const out = `default via ${GATEWAY} dev ${DEVICE} onlink`
  return [
    ...nameservers.flatMap((address) =>
      ['udp', 'tcp'].map(
        (protocol) => `rule add to ${address} ipproto ${protocol} dport 53 lookup ${NAMES_TABLE}`,
      ),
    ),
    `route add ${out} table ${NAMES_TABLE}`,
    `route add ${out}`,
  ]
}

/** The device as the uplink made it, with an address; of IPv6 it has none at all. */
export const ADDRESSING: readonly string[] = [
  `link set ${DEVICE} addrgenmode none`,
  `link set ${DEVICE} up`,
  `address add ${OWN_ADDRESS}/32 dev ${DEVICE}`,
]
