import { Command } from 'commander'
import type { Address } from '../host/listen.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { type Io, note, print } from './io.ts'
import {
  addressOption,
  type BalancerWords,
  balancerOptions,
  balancerSettings,
  graceOption,
  jsonOption,
  starting,
  untilStopped,
  worldOf,
} from './server-options.ts'

interface Options extends BalancerWords {
  readonly listen: Address
  readonly adminListen: Address
  readonly nodes: string
  readonly grace: number
  readonly json?: boolean
}

export const balancerCommand: CommandFactory = (io) => {
  const command = new Command('balancer')
    .description('run one balancer alone, in front of nodes')
    .requiredOption('--nodes <list>', 'the nodes, as host:port,host:port')
    .addOption(addressOption('--listen <host:port>', 'address for calls and the API', 8080))
    .addOption(addressOption('--admin-listen <host:port>', 'address of its own API', 8081))
    .addOption(graceOption())
    .action((options: Options) => runBalancer(io, options))
  return withExamples(
    balancerOptions(jsonOption(command)),
    'sluice balancer --nodes 127.0.0.1:9001,127.0.0.1:9002',
  )
}

async function runBalancer(io: Io, options: Options): Promise<void> {
  const { startBalancerRole } = await import('../compose.ts')
  const { listen, adminListen: admin, nodes, grace } = options
  const settings = { ...balancerSettings(options), listen, admin, grace, nodes: nodes.split(',') }
  await using balancer = await starting(startBalancerRole(settings, await worldOf(io)), {
    '--listen': listen,
    '--admin-listen': admin,
  })
  const { url, adminUrl } = balancer
  print(io, options.json ? JSON.stringify({ url, adminUrl }) : `balancer on ${url}, admin on ${adminUrl}`)
  await untilStopped(io)
  note(io, 'stopping: running calls are finished first; Ctrl-C again ends them')
}
