import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import type { App, Fn } from '../core/words.ts'
import type { Client } from './client.ts'
import { type CommandFactory, groupOf, withExamples } from './command.ts'
import { formatTable, type Io, note, print, printJson } from './io.ts'
import { withClient } from './with-client.ts'

interface Options {
  readonly unset?: boolean
  readonly json?: boolean
}

export const configCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('config').description(
        'list, read, set or unset the config of an app or a function; a deploy sets the keys of func.yaml anew ' +
          'and leaves the others alone: secrets belong here',
      ),
      'sluice config app myapp GREETING hello',
      'sluice config function myapp hello GREETING --unset',
    ),
    [appCommand(io), functionCommand(io)],
  )

const appCommand: CommandFactory = (io) =>
  withExamples(
    withKey(
      new Command('app').alias('a').description("an app's config").argument('<app>', 'name of the app'),
    ).action((appName: string, key: string | undefined, value: string | undefined, options: Options) =>
      withClient(io, async (client) => {
        await work(io, client, 'apps', await client.app(appName), key, value, options)
      }),
    ),
    'sluice config app myapp',
    'sluice config app myapp GREETING hello',
    'sluice config app myapp GREETING --unset',
  )

const functionCommand: CommandFactory = (io) =>
  withExamples(
    withKey(
      new Command('function')
        .aliases(['fn', 'f'])
        .description("a function's config, which goes before its app's")
        .argument('<app>', 'name of the app')
        .argument('<function>', 'name of the function'),
    ).action((appName: string, fnName: string, key?: string, value?: string, options: Options = {}) =>
      withClient(io, async (client) => {
        await work(io, client, 'fns', await client.fn(await client.app(appName), fnName), key, value, options)
      }),
    ),
    'sluice config function myapp hello',
    'sluice config function myapp hello GREETING hello',
  )

const withKey = (command: Command): Command =>
  command
    .argument('[key]', 'without it, all are listed')
    .argument('[value]', 'without it, the value is printed')
    .option('--unset', 'remove the key')
    .option('--json', 'print JSON')

async function work(
  io: Io,
  client: Client,
  kind: 'apps' | 'fns',
  item: App | Fn,
  key: string | undefined,
  value: string | undefined,
  { unset = false, json = false }: Options,
): Promise<void> {
  const config = item.config ?? {} // the API omits an empty one
  if (unset && (key === undefined || value !== undefined))
    throw new SluiceError('invalid', '--unset takes a key and no value')
  if (key === undefined) return list(io, config, item.name, json)
  const known = Object.hasOwn(config, key)
  if (!known && (unset || value === undefined))
    throw new SluiceError('not-found', `${item.name} has no config key ${JSON.stringify(key)}`)
  if (value === undefined && !unset) return json ? printJson(io, config[key]) : print(io, config[key] ?? '')
  if (value === '')
    throw new SluiceError('invalid', 'a config value must not be empty', { detail: 'remove it with --unset' })
  const changed = await client.update(kind, item.id, { config: { [key]: value ?? '' } })
  if (json) printJson(io, changed.config ?? {})
  else note(io, `${unset ? 'Removed' : known ? 'Changed' : 'Set'} ${key} of ${item.name}`)
}

function list(io: Io, config: Readonly<Record<string, string>>, name: string, json: boolean): void {
  const rows = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1))
  if (json) printJson(io, config)
  else if (rows.length === 0) note(io, `${name} has no config`)
  else print(io, formatTable(io, ['KEY', 'VALUE'], rows))
}
