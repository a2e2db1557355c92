import { Command } from 'commander'
import { type App, bundleDigest, type Fn } from '../core/words.ts'
import type { Client } from './client.ts'
import { type CommandFactory, groupOf, withExamples } from './command.ts'
import { formatTable, type Io, note, print, printJson } from './io.ts'
import { withClient } from './with-client.ts'

interface Options {
  readonly json?: boolean
}

export const listCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('list').alias('ls').description('list apps, functions or triggers'),
      'sluice list apps',
      'sluice list functions myapp',
    ),
    [appsCommand(io), functionsCommand(io), triggersCommand(io)],
  )

const appsCommand: CommandFactory = (io) =>
  withExamples(
    new Command('apps')
      .aliases(['app', 'a'])
      .description('list all apps')
      .option('--json', 'print JSON')
      .action((options: Options) =>
        withClient(io, async (client) => {
          const apps = await client.list('apps')
          const rows = apps.map((app) => [app.name, app.id, app.updated_at])
          show(io, options, apps, ['NAME', 'ID', 'UPDATED'], rows, 'no apps yet; "sluice deploy" makes one')
        }),
      ),
    'sluice list apps --json',
  )

const functionsCommand: CommandFactory = (io) =>
  withExamples(
    new Command('functions')
      .aliases(['function', 'fns', 'fn', 'f'])
      .description('list the functions of an app, or of all apps')
      .argument('[app]', 'name of the app')
      .option('--json', 'print JSON')
      .action((name: string | undefined, options: Options) =>
        withClient(io, async (client) => {
          const apps = name === undefined ? await client.list('apps') : [await client.app(name)]
          const found = await functionsOf(client, apps)
          const rows = found.map(({ app, fn }) => [
            app.name,
            fn.name,
            shortImage(fn),
            `${fn.memory} MB`,
            `${fn.timeout}s`,
            fn.id,
          ])
          const heads = ['APP', 'NAME', 'IMAGE', 'MEMORY', 'TIMEOUT', 'ID']
          const fns = found.map(({ fn }) => fn)
          show(io, options, fns, heads, rows, 'no functions yet; "sluice deploy" makes one')
        }),
      ),
    'sluice list functions',
    'sluice list functions myapp --json',
  )

const triggersCommand: CommandFactory = (io) =>
  withExamples(
    new Command('triggers')
      .aliases(['trigger', 't'])
      .description('list the triggers of an app, or of one of its functions')
      .argument('<app>', 'name of the app')
      .argument('[function]', 'name of the function')
      .option('--json', 'print JSON')
      .action((appName: string, fnName: string | undefined, options: Options) =>
        withClient(io, async (client) => {
          const app = await client.app(appName)
          const fns = fnName === undefined ? await fnsOf(client, app) : [await client.fn(app, fnName)]
          const only = fnName === undefined ? {} : { fn_id: fns[0]?.id ?? '' }
          const triggers = await client.list('triggers', { app_id: app.id, ...only })
          const names = new Map(fns.map((fn) => [fn.id, fn.name]))
          const rows = triggers.map((trigger) => [
            names.get(trigger.fn_id) ?? trigger.fn_id,
            trigger.name,
            trigger.type,
            trigger.source,
            client.triggerUrl(app, trigger),
          ])
          const heads = ['FUNCTION', 'NAME', 'TYPE', 'SOURCE', 'URL']
          show(io, options, triggers, heads, rows, 'no triggers yet; "sluice create trigger" makes one')
        }),
      ),
    'sluice list triggers myapp',
  )

async function functionsOf(client: Client, apps: readonly App[]): Promise<{ app: App; fn: Fn }[]> {
  const found: { app: App; fn: Fn }[] = []
  for (const app of apps) for (const fn of await fnsOf(client, app)) found.push({ app, fn })
  return found
}

const fnsOf = (client: Client, app: App): Promise<Fn[]> => client.list('fns', { app_id: app.id })

function show(
  io: Io,
  { json = false }: Options,
  items: readonly unknown[],
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
): void {
  if (json) printJson(io, items)
  else if (rows.length === 0) note(io, none)
  else print(io, formatTable(io, heads, rows))
}

function shortImage(fn: Fn): string {
  const digest = bundleDigest(fn.image)
  return digest === undefined ? fn.image : `bundle ${digest.slice(0, 12)}`
}
