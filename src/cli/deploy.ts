import { Command } from 'commander'
import { type CommandFactory, withExamples } from './command.ts'
import type { DeployOptions, Folder } from './deploy/deploy.ts'
import { type Io, print, printJson } from './io.ts'
import { withClient } from './with-client.ts'

interface Options extends DeployOptions {
  readonly dryRun?: boolean
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

async function deploy(io: Io, path: string, options: Options): Promise<void> {
  const { deployFolder, openFolder } = await import('./deploy/deploy.ts')
  const { showReport, toJson } = await import('./deploy/report.ts')
  const folder = await openFolder(io, path, options)
  if (options.dryRun) return await showDryRun(io, folder, options)
  await withClient(io, async (client) => {
    const report = await deployFolder(io, client, folder, options)
    if (options.json) printJson(io, toJson(client, report))
    else await showReport(io, client, report, folder.func)
  })
}

async function showDryRun(io: Io, { func, pack }: Folder, { json }: Options): Promise<void> {
  const { withoutFiles } = await import('./deploy/deploy.ts')
  const { formatContents } = await import('./deploy/contents.ts')
  const bundle = await pack({})
  if (bundle === undefined) {
    if (json) printJson(io, { image: func.image })
    else print(io, `No file would be sent: ${func.name} is the image ${func.image}`)
  } else if (json) printJson(io, { ...withoutFiles(bundle), contents: bundle.contents })
  else print(io, formatContents(io, bundle))
}
