import { Command, Option } from 'commander'
import { type CommandFactory, groupOf, withExamples } from './command.ts'
import { print, printJson } from './io.ts'
import { withClient } from './with-client.ts'

export const inspectCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('inspect').alias('i').description('print one app, function or trigger as JSON'),
      'sluice inspect app myapp',
    ),
    [appCommand(io), functionCommand(io), triggerCommand(io)],
  )

/** For those who give it everywhere. */
const jsonOption = () => new Option('--json', 'print JSON, as it does anyway')

const appCommand: CommandFactory = (io) =>
  withExamples(
    new Command('app')
      .alias('a')
      .description('print an app')
      .argument('<app>', 'name of the app')
      .addOption(jsonOption())
      .action((appName: string) =>
        withClient(io, async (client) => printJson(io, await client.app(appName))),
      ),
    'sluice inspect app myapp',
  )

const functionCommand: CommandFactory = (io) =>
  withExamples(
    new Command('function')
      .aliases(['fn', 'f'])
      .description('print a function')
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .addOption(jsonOption())
      .option('--endpoint', 'print only the URL that calls it')
      .action((appName: string, fnName: string, { endpoint = false }: { endpoint?: boolean }) =>
        withClient(io, async (client) => {
          const fn = await client.fn(await client.app(appName), fnName)
          if (endpoint) print(io, client.invokeUrl(fn))
          else printJson(io, fn)
        }),
      ),
    'sluice inspect function myapp hello',
    'curl -d hi "$(sluice inspect function myapp hello --endpoint)"',
  )

const triggerCommand: CommandFactory = (io) =>
  withExamples(
    new Command('trigger')
      .alias('t')
      .description('print a trigger')
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .argument('<trigger>', 'name of the trigger')
      .addOption(jsonOption())
      .option('--endpoint', 'print only the URL that calls it')
      .action((appName: string, fnName: string, name: string, { endpoint = false }: { endpoint?: boolean }) =>
        withClient(io, async (client) => {
          const app = await client.app(appName)
          const trigger = await client.trigger(app, await client.fn(app, fnName), name)
          if (endpoint) print(io, client.triggerUrl(app, trigger))
          else printJson(io, trigger)
        }),
      ),
    'sluice inspect trigger myapp hello hello-http',
  )
