import { Command } from 'commander'
import { type CommandFactory, withExamples } from './command.ts'
import { type Io, note, paint, print } from './io.ts'
import {
  type BalancerWords,
  balancerOptions,
  balancerSettings,
  jsonOption,
  type NodeWords,
  nodeOptions,
  parseCount,
  parsePort,
  starting,
  untilStopped,
  worldOf,
} from './server-options.ts'

interface Options extends NodeWords, BalancerWords {
  readonly host: string
  readonly port: number
  readonly adminPort: number
  readonly dataDir: string
  readonly localNodes: number
  readonly json?: boolean
}

export const startCommand: CommandFactory = (io) => {
  const command = new Command('start')
    .description('run everything in one process: a balancer, a node and the store')
    .option('--host <host>', 'address to listen on; beyond loopback a token is required', '127.0.0.1')
    .option('--port <port>', 'port for calls and the API', parsePort, 8080)
    .option('--admin-port <port>', "port of the balancer's own API", parsePort, 8081)
    .option('--data-dir <dir>', 'folder of all state', './.sluice')
    .option('--local-nodes <n>', 'nodes in this process', parseCount, 1)
    .action((options: Options) => start(io, options))
  return withExamples(
    balancerOptions(nodeOptions(jsonOption(command))),
    'sluice start',
    'sluice start --port 9000 --local-nodes 3 --data-dir /var/lib/sluice',
  )
}

async function start(io: Io, options: Options): Promise<void> {
  const { startSluice } = await import('../compose.ts')
  const { host, port, adminPort, localNodes, dataDir, driver, memory, cpus, imageBudget, grace } = options
  const listen = { host, port }
  const admin = { host, port: adminPort }
  const settings = {
    ...balancerSettings(options),
    ...{ listen, admin, dataDir, localNodes, driver, memory, cpus, imageBudget, grace },
  }
  await using sluice = await starting(startSluice(settings, await worldOf(io)), {
    '--port': listen,
    '--admin-port': admin,
  })
  const { balancer, nodes } = sluice
  if (options.json) {
    const urls = { url: balancer.url, adminUrl: balancer.adminUrl, nodes: nodes.map(({ url }) => url) }
    print(io, JSON.stringify({ ...urls, driver: sluice.driver.name }))
  } else {
    const { name, capabilities } = sluice.driver
    print(io, paint(io, 'stdout', 'bold', 'Sluice is running.'))
    print(io, `  calls, API  ${balancer.url}`)
    print(io, `  admin       ${balancer.adminUrl}`)
    print(io, `  nodes       ${nodes.map(({ url }) => url).join(', ')}`)
    print(io, `  driver      ${name} (isolation: ${capabilities.isolation})`)
    print(io, `  data        ${dataDir}`)
    print(io, 'Next, in another terminal:  sluice init hello && sluice deploy --app myapp hello')
    print(io, 'Ctrl-C stops it; running calls are finished first.')
  }
  await untilStopped(io)
  note(io, 'stopping: running calls are finished first; Ctrl-C again ends them')
}
