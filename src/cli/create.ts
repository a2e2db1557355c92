import { Command } from 'commander'
import { type CommandFactory, gatherConfig, groupOf, withExamples } from './command.ts'
import { print, printJson } from './io.ts'
import { parseCount } from './server-options.ts'
import { withClient } from './with-client.ts'

export const createCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('create')
        .alias('c')
        .description(
          'create an app, a function from an image, or a trigger (a function from a folder: see "deploy")',
        ),
      'sluice create app myapp',
    ),
    [appCommand(io), functionCommand(io), triggerCommand(io)],
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

interface FunctionOptions {
  readonly memory: number
  readonly timeout: number
  readonly config: Readonly<Record<string, string>>
  readonly json?: boolean
}

const functionCommand: CommandFactory = (io) =>
  withExamples(
    new Command('function')
      .aliases(['fn', 'f'])
      .description('create a function from an image on the container contract')
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .argument('<image>', 'reference of the image, like registry.example:5000/hello:1')
      .option('--memory <MiB>', 'memory of one container', parseCount, 128)
      .option('--timeout <seconds>', 'time one call may run', parseCount, 30)
      .option('--config <key=value>', 'config of the function; may be repeated', gatherConfig, {})
      .option('--json', 'print JSON')
      .action((appName: string, name: string, image: string, options: FunctionOptions) =>
        withClient(io, async (client) => {
          const { json, ...settings } = options
          const app = await client.app(appName)
          const fn = await client.create('fns', { app_id: app.id, name, image, ...settings })
          if (json) printJson(io, fn)
          else print(io, `Created function ${fn.name} in app ${app.name}: ${client.invokeUrl(fn)}`)
        }),
      ),
    'sluice create function myapp hello registry.example:5000/hello:1',
    'sluice create function myapp hello hello:2 --memory 256 --timeout 60',
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
