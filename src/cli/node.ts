import { Command } from 'commander'
import type { Address } from '../host/listen.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { type Io, note, print } from './io.ts'
import {
  addressOption,
  jsonOption,
  type NodeWords,
  nodeOptions,
  starting,
  untilStopped,
  worldOf,
} from './server-options.ts'

interface Options extends NodeWords {
  readonly listen: Address
  readonly dataDir: string
  readonly store?: string
  readonly json?: boolean
}

export const nodeCommand: CommandFactory = (io) => {
  const command = new Command('node')
    .description('run one function node alone')
    .addOption(
      addressOption(
        '--listen <host:port>',
        'address to listen on; beyond loopback a token is required',
        8082,
      ),
    )
    .option('--data-dir <dir>', "folder of this node's state", './.sluice')
    .option(
      '--store <url>',
      "sqlite:FILE, shared by the nodes of one machine (default: the data folder's own)",
    )
    .action((options: Options) => runNode(io, options))
  return withExamples(
    nodeOptions(jsonOption(command)),
    'sluice node --listen 127.0.0.1:9001 --data-dir ./node-1 --store sqlite:./shared.db',
  )
}

async function runNode(io: Io, options: Options): Promise<void> {
  const { startNodeRole } = await import('../compose.ts')
  const { listen, dataDir, store, driver, memory, cpus, imageBudget, grace } = options
  const settings = { listen, dataDir, store, driver, memory, cpus, imageBudget, grace }
  await using role = await starting(startNodeRole(settings, await worldOf(io)), { '--listen': listen })
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
