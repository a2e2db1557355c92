import { resolve } from 'node:path'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { type App, bundleImage } from '../core/words.ts'
import type { Bundle } from './bundle.ts'
import type { Client } from './client.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { putFunction, putTriggers } from './deploy/put.ts'
import { type Deployed, showReport, toJson } from './deploy/report.ts'
import type { FuncFile } from './func-file.ts'
import { type Io, note, printJson, warn } from './io.ts'
import { withClient } from './with-client.ts'

interface Options {
  readonly app: string
  readonly createApp: boolean
  readonly json?: boolean
}

export const deployCommand: CommandFactory = (io) =>
  withExamples(
    new Command('deploy')
      .description(
        'upload a folder (or name an image) as a function, as its func.yaml says. What is removed from func.yaml ' +
          'goes back to its default: settings, config, annotations and triggers; config set by "sluice config" stays',
      )
      .argument('[folder]', 'the folder with func.yaml', '.')
      .requiredOption('--app <app>', 'name of the app')
      .option('--create-app', 'create the app when it is missing (the default)', true)
      .option('--no-create-app', 'fail when the app is missing')
      .option('--json', 'print JSON')
      .action((folder: string, options: Options) => deploy(io, folder, options)),
    'sluice deploy --app myapp',
    'sluice deploy --app myapp hello',
  )

async function deploy(io: Io, folder: string, options: Options): Promise<void> {
  const { readFuncFile } = await import('./func-file.ts')
  const dir = resolve(io.cwd, folder)
  const { func, warnings } = await readFuncFile(dir)
  for (const warning of warnings) warn(io, warning)

  await withClient(io, async (client) => {
    const existing = await client.findApp(options.app) // before the slow part: is the server there at all?
    if (existing === undefined && !options.createApp) await client.app(options.app)
    const bundle = func.image === undefined ? await pack(io, dir, func) : undefined

    const app = existing ?? (await createApp(client, options.app))
    const uploaded = bundle !== undefined && (await upload(io, client, bundle))
    const image = bundle === undefined ? (func.image ?? '') : bundleImage(bundle.digest)
    const put = await putFunction(client, app, func, image)
    const report: Deployed = {
      app,
      appChange: existing === undefined ? 'created' : 'unchanged',
      bundle: bundle && { ...withoutTar(bundle), uploaded },
      put,
      triggers: await putTriggers(client, put.fn, func),
    }
    if (options.json) printJson(io, toJson(client, report))
    else await showReport(io, client, report, func)
  })
}

async function pack(io: Io, dir: string, func: FuncFile): Promise<Bundle> {
  const { packBundle } = await import('./bundle.ts')
  return await packBundle(dir, {
    signal: io.signal,
    onProgress: (line) => note(io, line),
    concurrency: func.concurrency ?? 1,
    env: io.env,
  })
}

/** Another deploy may create the same app at the same moment: then that one is it. */
async function createApp(client: Client, name: string): Promise<App> {
  try {
    return await client.create('apps', { name })
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'conflict') return await client.app(name)
    throw error
  }
}

async function upload(io: Io, client: Client, bundle: Bundle): Promise<boolean> {
  if (await client.hasBundle(bundle.digest)) return false
  const { formatSize } = await import('./tar.ts')
  note(io, `uploading ${formatSize(bundle.size)} …`)
  await client.putBundle(bundle.digest, bundle.tar)
  return true
}

function withoutTar({ tar: _, ...rest }: Bundle): Omit<Bundle, 'tar'> {
  return rest
}
