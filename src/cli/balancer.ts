import { Command } from 'commander'
import type { Address } from '../host/listen.ts'
import { type CommandFactory, parseTimeLimit, withExamples } from './command.ts'
import { type Io, note, print } from './io.ts'
import {
  balancerOptions,
  parseListen,
  type RoleOptions,
  roleSettings,
  untilStopped,
  worldOf,
} from './server-options.ts'

interface Options extends RoleOptions {
  readonly listen: Address
  readonly adminListen: Address
  readonly nodes: string
  readonly json?: boolean
}

export const balancerCommand: CommandFactory = (io) => {
  const command = new Command('balancer')
    .description('run one balancer alone, in front of nodes')
    .requiredOption('--nodes <list>', 'the nodes, as host:port,host:port')
    .option('--listen <host:port>', 'address for calls and the API', parseListen, {
      host: '127.0.0.1',
      port: 8080,
    })
    .option('--admin-listen <host:port>', 'address of its own API', parseListen, {
      host: '127.0.0.1',
      port: 8081,
    })
    .option('--grace <time>', 'how long running calls may take to end when it stops', parseTimeLimit, 30_000)
    .option('--json', 'print where it listens as one line of JSON')
    .action((options: Options) => runBalancer(io, options))
  return withExamples(balancerOptions(command), 'sluice balancer --nodes 127.0.0.1:9001,127.0.0.1:9002')
}

async function runBalancer(io: Io, options: Options): Promise<void> {
  const { startBalancerRole } = await import('../compose.ts')
  await using balancer = await startBalancerRole(
    {
      ...roleSettings(options),
      listen: options.listen,
      admin: options.adminListen,
      nodes: options.nodes.split(','),
    },
    await worldOf(io),
  )
  const { url, adminUrl } = balancer
  print(io, options.json ? JSON.stringify({ url, adminUrl }) : `balancer on ${url}, admin on ${adminUrl}`)
  await untilStopped(io)
  note(io, 'stopping: running calls are finished first; Ctrl-C again ends them')
}
