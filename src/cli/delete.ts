import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { type CommandFactory, groupOf, withExamples } from './command.ts'
import { confirm, note, print } from './io.ts'
import { withClient } from './with-client.ts'

export const deleteCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('delete').alias('rm').description('delete an app, a function or a trigger'),
      'sluice delete function myapp hello',
    ),
    [appCommand(io), functionCommand(io), triggerCommand(io)],
  )

const appCommand: CommandFactory = (io) =>
  withExamples(
    new Command('app')
      .alias('a')
      .description('delete an app with its functions and triggers')
      .argument('<app>', 'name of the app')
      .option('-y, --yes', 'do not ask when it has functions')
      .action((name: string, { yes = false }: { yes?: boolean }) =>
        withClient(io, async (client) => {
          const app = await client.app(name)
          const fns = yes ? [] : await client.list('fns', { app_id: app.id })
          if (fns.length > 0) {
            const what = `app ${app.name} has ${fns.length === 1 ? 'a function' : `${fns.length} functions`}`
            if (!io.isTTY.stdin)
              throw new SluiceError('conflict', what, { detail: 'add --yes to delete them with it' })
            if (!(await confirm(io, `${what}. Delete all of it?`))) return note(io, 'Nothing was deleted')
          }
          await client.remove('apps', app.id)
          print(io, `Deleted app ${app.name}`)
        }),
      ),
    'sluice delete app myapp',
    'sluice delete app myapp --yes',
  )

const functionCommand: CommandFactory = (io) =>
  withExamples(
    new Command('function')
      .aliases(['fn', 'f'])
      .description('delete a function with its triggers')
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .action((appName: string, fnName: string) =>
        withClient(io, async (client) => {
          const fn = await client.fn(await client.app(appName), fnName)
          await client.remove('fns', fn.id)
          print(io, `Deleted function ${fn.name} of app ${appName}`)
        }),
      ),
    'sluice delete function myapp hello',
  )

const triggerCommand: CommandFactory = (io) =>
  withExamples(
    new Command('trigger')
      .alias('t')
      .description('delete a trigger')
      .argument('<app>', 'name of the app')
      .argument('<function>', 'name of the function')
      .argument('<trigger>', 'name of the trigger')
      .action((appName: string, fnName: string, name: string) =>
        withClient(io, async (client) => {
          const app = await client.app(appName)
          const trigger = await client.trigger(app, await client.fn(app, fnName), name)
          await client.remove('triggers', trigger.id)
          print(io, `Deleted trigger ${trigger.name} of function ${fnName}`)
        }),
      ),
    'sluice delete trigger myapp hello hello-http',
  )
