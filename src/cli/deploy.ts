import { resolve } from 'node:path'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { type App, bundleImage, type Config } from '../core/words.ts'
import type { Bundle } from './bundle.ts'
import type { Client } from './client.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { putFunction, putTriggers } from './deploy/put.ts'
import { type BundleSummary, type Deployed, showReport, toJson } from './deploy/report.ts'
import type { FuncFile } from './func-file.ts'
import { type Io, note, print, printJson, warn } from './io.ts'
import { withClient } from './with-client.ts'

interface Options {
  readonly app: string
  readonly createApp: boolean
  readonly check: boolean
  readonly dryRun?: boolean
  readonly verbose?: boolean
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
      .option('--check', 'load the function once before it is sent (the default)', true)
      .option('--no-check', 'send it as it is')
      .option('--dry-run', 'list what would be sent, and send nothing')
      .option('--verbose', 'list the files that are sent')
      .option('--json', 'print JSON')
      .action((folder: string, options: Options) => deploy(io, folder, options)),
    'sluice deploy --app myapp',
    'sluice deploy --app myapp hello',
    'sluice deploy --app myapp hello --dry-run',
  )

async function deploy(io: Io, folder: string, options: Options): Promise<void> {
  const { readFuncFile } = await import('./func-file.ts')
  const dir = resolve(io.cwd, folder)
  const { func, path, warnings } = await readFuncFile(dir)
  for (const warning of warnings) warn(io, warning)
  const makeBundle = async (config: Config = {}) => {
    if (func.image !== undefined) return undefined
    const bundle = await pack(io, dir, func, { ...options, config: { ...config, ...func.config } })
    if (path === undefined)
      note(io, `no func.yaml in ${folder}: the function is named ${func.name} and has defaults`)
    return bundle
  }
  if (options.dryRun) return await showDryRun(io, func, await makeBundle(), options)

  await withClient(io, async (client) => {
    const existing = await client.findApp(options.app) // before the slow part: is the server there at all?
    if (existing === undefined && !options.createApp) await client.app(options.app)
    const held = existing && (await client.findFn(existing, func.name))
    const bundle = await makeBundle({ ...existing?.config, ...held?.config })

    const app = existing ?? (await createApp(client, options.app))
    const uploaded = bundle !== undefined && (await upload(io, client, bundle))
    const image = bundle === undefined ? (func.image ?? '') : bundleImage(bundle.digest)
    const put = await putFunction(client, app, func, image, held)
    const report: Deployed = {
      app,
      appChange: existing === undefined ? 'created' : 'unchanged',
      bundle: bundle && { ...withoutFiles(bundle), uploaded },
      put,
      triggers: await putTriggers(client, put.fn, func),
    }
    if (options.json) printJson(io, toJson(client, report))
    else await showReport(io, client, report, func)
  })
}

async function pack(
  io: Io,
  dir: string,
  func: FuncFile,
  { check, config, dryRun, verbose }: Options & { readonly config: Config },
): Promise<Bundle> {
  const { packBundle } = await import('./bundle.ts')
  const { explainLeftOut, formatContents } = await import('./deploy/contents.ts')
  const { checkProgram } = await import('./deploy/check.ts')
  const { signal, env } = io
  const { format = 'http-stream', concurrency = 1 } = func
  const bundle = await packBundle(dir, {
    ...{ signal, env, concurrency, onProgress: (line: string) => note(io, line) },
    ...(check && {
      async check(dir: string, entry: string) {
        const warning = await checkProgram({ dir, entry, format, config, signal })
        if (warning !== undefined) warn(io, warning)
      },
    }),
  })
  const leftOut = explainLeftOut(bundle)
  if (verbose && !dryRun) note(io, formatContents(io, bundle))
  else if (leftOut !== undefined && !dryRun) note(io, leftOut)
  return bundle
}

async function showDryRun(
  io: Io,
  func: FuncFile,
  bundle: Bundle | undefined,
  { json }: Options,
): Promise<void> {
  if (json)
    printJson(io, bundle ? { ...withoutFiles(bundle), contents: bundle.contents } : { image: func.image })
  else if (bundle === undefined) print(io, `No file would be sent: ${func.name} is the image ${func.image}`)
  else print(io, (await import('./deploy/contents.ts')).formatContents(io, bundle))
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

const withoutFiles = ({ tar: _, contents: __, ...rest }: Bundle): BundleSummary => rest
