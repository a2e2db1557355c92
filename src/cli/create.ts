import { Command } from 'commander'
import { type CommandFactory, gatherConfig, groupOf, withExamples } from './command.ts'
import { print, printJson } from './io.ts'
import { withClient } from './with-client.ts'

export const createCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('create').alias('c').description('create an app or a trigger (functions: see "deploy")'),
      'sluice create app myapp',
    ),
    [appCommand(io), triggerCommand(io)],
  )

interface AppOptions {
  readonly config: Readonly<Record<string, string>>
  readonly json?: boolean
}

const appCommand: CommandFactory = (io) =>
  withExamples(
    new Command('app')
      .alias('a')
      .description('create an app')
      .argument('<app>', 'name of the app')
      .option('--config <key=value>', 'config of all its functions; may be repeated', gatherConfig, {})
      .option('--json', 'print JSON')
      .action((name: string, { config, json = false }: AppOptions) =>
        withClient(io, async (client) => {
          const app = await client.create('apps', { name, config })
          if (json) printJson(io, app)
          else print(io, `Created app ${app.name}`)
        }),
      ),
    'sluice create app myapp',
    'sluice create app myapp --config GREETING=hello',
  )

const triggerCommand: CommandFactory = (io) =>
  withExamples(
    new Command('trigger')
      .alias('t')
      .description('bind an HTTP path to a function')
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .argument('<trigger>', 'name of the trigger')
      .requiredOption('--source <path>', 'the path below /t/<app>, like /hello')
      .option('--type <type>', 'what calls it', 'http')
      .option('--json', 'print JSON')
      .action(
        (
          appName: string,
          fnName: string,
          name: string,
          options: { source: string; type: string; json?: boolean },
        ) =>
          withClient(io, async (client) => {
            const app = await client.app(appName)
            const fn = await client.fn(app, fnName)
            const { source, type } = options
            const trigger = await client.create('triggers', {
              app_id: app.id,
              fn_id: fn.id,
              name,
              type,
              source,
            })
            if (options.json) printJson(io, trigger)
            else print(io, `Created trigger ${trigger.name} at ${client.triggerUrl(app, trigger)}`)
          }),
      ),
    'sluice create trigger myapp hello hello-http --source /hello',
  )
