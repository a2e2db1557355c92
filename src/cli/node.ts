import { Command } from 'commander'
import type { DriverChoice } from '../core/words.ts'
import type { Address } from '../host/listen.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { type Io, note, print } from './io.ts'
import {
  nodeOptions,
  parseListen,
  type RoleOptions,
  roleSettings,
  untilStopped,
  worldOf,
} from './server-options.ts'

interface Options extends RoleOptions {
  readonly listen: Address
  readonly dataDir: string
  readonly store?: string
  readonly driver: DriverChoice
  readonly json?: boolean
}

export const nodeCommand: CommandFactory = (io) => {
  const command = new Command('node')
    .description('run one function node alone')
    .option(
      '--listen <host:port>',
      'address to listen on; beyond loopback a token is required',
      parseListen,
      {
        host: '127.0.0.1',
        port: 8082,
      },
    )
    .option('--data-dir <dir>', "folder of this node's state", './.sluice')
    .option(
      '--store <url>',
      "sqlite:FILE, shared by the nodes of one machine (default: the data folder's own)",
    )
    .option('--json', 'print where it listens as one line of JSON')
    .action((options: Options) => runNode(io, options))
  return withExamples(
    nodeOptions(command),
    'sluice node --listen 127.0.0.1:9001 --data-dir ./node-1 --store sqlite:./shared.db',
  )
}

async function runNode(io: Io, options: Options): Promise<void> {
  const { startNodeRole } = await import('../compose.ts')
  const { listen, dataDir, store, driver } = options
  await using role = await startNodeRole(
    { ...roleSettings(options), listen, dataDir, store, driver },
    await worldOf(io),
  )
  const { url } = role.node
  print(
    io,
    options.json
      ? JSON.stringify({ url, driver: role.driver.name })
      : `node on ${url}, driver ${role.driver.name}`,
  )
  await untilStopped(io)
  note(io, 'stopping: running calls are finished first; Ctrl-C again ends them')
}
