// A production balancer in front of one node. Argument: the node's host:port.
import { startBalancer } from '../../src/balancer/balancer.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'

const anyPort = { host: '127.0.0.1', port: 0 }
const balancer = await startBalancer({
  nodes: [process.argv[2] as string],
  listen: anyPort,
  admin: anyPort,
  clock: systemClock,
  random: systemRandom,
  log: silentLogger,
  token: undefined,
  version: 'bench',
})
process.send?.({ url: balancer.url })
