import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { type App, bundleImage, FN_SETTINGS, type Fn, type Trigger } from '../core/words.ts'
import type { Bundle } from './bundle.ts'
import type { Client } from './client.ts'
import { type CommandFactory, withExamples } from './command.ts'
import type { FuncFile, FuncTrigger } from './func-file.ts'
import { formatTable, type Io, note, paint, print, printJson, warn } from './io.ts'
import { withClient } from './with-client.ts'

interface Options {
  readonly app: string
  readonly createApp: boolean
  readonly json?: boolean
}

export const deployCommand: CommandFactory = (io) =>
  withExamples(
    new Command('deploy')
      .description('upload a folder (or name an image) as a function, as its func.yaml says')
      .argument('[folder]', 'the folder with func.yaml', '.')
      .requiredOption('--app <app>', 'name of the app')
      .option('--create-app', 'create the app when it is missing (the default)', true)
      .option('--no-create-app', 'fail when the app is missing')
      .option('--json', 'print JSON')
      .action((folder: string, options: Options) => deploy(io, folder, options)),
    'sluice deploy --app myapp',
    'sluice deploy --app myapp hello',
  )

/** What a deploy did to one thing. */
type Change = 'created' | 'updated' | 'unchanged'

interface Deployed {
  readonly app: App
  readonly appChange: Change
  readonly bundle: (Omit<Bundle, 'tar'> & { readonly uploaded: boolean }) | undefined
  readonly fn: Fn
  readonly fnChange: Change
  /** The fields of the function that were set. */
  readonly fields: readonly string[]
  readonly triggers: readonly { readonly trigger: Trigger; readonly change: Change }[]
}

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
    const { fn, change, fields } = await putFunction(client, app, func, image)
    const triggers: Deployed['triggers'][number][] = []
    for (const wanted of func.triggers) triggers.push(await putTrigger(client, fn, wanted))
    const report = {
      app,
      appChange: existing === undefined ? ('created' as const) : ('unchanged' as const),
      bundle: bundle && { ...withoutTar(bundle), uploaded },
      fn,
      fnChange: change,
      fields,
      triggers,
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

async function putFunction(
  client: Client,
  app: App,
  func: FuncFile,
  image: string,
): Promise<{ fn: Fn; change: Change; fields: string[] }> {
  const wanted = wantedFields(func, image)
  const existing = await client.findFn(app, func.name)
  if (existing === undefined) {
    const fn = await client.create('fns', { app_id: app.id, name: func.name, ...wanted })
    return { fn, change: 'created', fields: Object.keys(wanted) }
  }
  const changes = Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => differs(existing, key, value)),
  )
  const fields = Object.keys(changes)
  if (fields.length === 0) return { fn: existing, change: 'unchanged', fields }
  const fn = await client.update('fns', existing.id, changes)
  // Fn's own server leaves the endpoint out of this answer.
  return {
    fn: { ...fn, annotations: { ...existing.annotations, ...fn.annotations } },
    change: 'updated',
    fields,
  }
}

/** The fields of a function that the func file sets. */
function wantedFields(func: FuncFile, image: string): Partial<Fn> {
  const keys = ['memory', 'timeout', 'idle_timeout', 'config', 'annotations', ...Object.keys(FN_SETTINGS)]
  const set = keys.filter((key) => func[key as keyof FuncFile] !== undefined)
  return { image, ...Object.fromEntries(set.map((key) => [key, func[key as keyof FuncFile]])) }
}

/** Maps are merged by the server: only the keys that the file names count. */
function differs(existing: Fn, key: string, wanted: unknown): boolean {
  const current = existing[key as keyof Fn]
  if (key !== 'config' && key !== 'annotations') return !isDeepStrictEqual(current, wanted)
  const held = (current ?? {}) as Record<string, unknown>
  return Object.entries(wanted as object).some(([name, value]) => !isDeepStrictEqual(held[name], value))
}

async function putTrigger(
  client: Client,
  fn: Fn,
  wanted: FuncTrigger,
): Promise<{ trigger: Trigger; change: Change }> {
  const existing = await client.findTrigger(fn, wanted.name)
  if (existing === undefined) {
    const trigger = await client.create('triggers', { app_id: fn.app_id, fn_id: fn.id, ...wanted })
    return { trigger, change: 'created' }
  }
  if (existing.source === wanted.source) return { trigger: existing, change: 'unchanged' }
  const trigger = await client.update('triggers', existing.id, { source: wanted.source })
  return { trigger, change: 'updated' }
}

function toJson(
  client: Client,
  { app, bundle, fn, fnChange, fields, triggers, appChange }: Deployed,
): object {
  return {
    app,
    function: fn,
    triggers: triggers.map(({ trigger }) => ({ ...trigger, url: client.triggerUrl(app, trigger) })),
    url: client.invokeUrl(fn),
    bundle: bundle ?? null,
    changes: {
      app: appChange,
      function: fnChange,
      fields,
      triggers: Object.fromEntries(triggers.map(({ trigger, change }) => [trigger.name, change])),
    },
  }
}

async function showReport(io: Io, client: Client, report: Deployed, func: FuncFile): Promise<void> {
  const { app, bundle, fn, fields, triggers } = report
  const url = client.invokeUrl(fn)
  const rows = [
    ['app', app.name, report.appChange, ''],
    ...(bundle
      ? [
          [
            'bundle',
            bundle.digest.slice(0, 12),
            bundle.uploaded ? 'uploaded' : 'unchanged',
            await sizes(bundle),
          ],
        ]
      : []),
    ['function', fn.name, report.fnChange, report.fnChange === 'updated' ? fields.join(', ') : ''],
    ...triggers.map(({ trigger, change }) => [
      'trigger',
      trigger.name,
      change,
      client.triggerUrl(app, trigger),
    ]),
  ]
  print(io, paint(io, 'stdout', 'green', `Deployed ${fn.name} to app ${app.name}: ${url}`))
  print(io, formatTable(io, rows[0] ?? [], rows.slice(1)))
  print(io, '\nCall it:')
  const [trigger] = triggers
  const type = func.content_type ? `-H 'Content-Type: ${func.content_type}' ` : ''
  print(io, `  curl -X POST ${type}'${url}'`)
  if (trigger) print(io, `  curl ${type}'${client.triggerUrl(app, trigger.trigger)}'`)
  print(io, `  sluice invoke ${app.name} ${fn.name}`)
}

async function sizes({ files, size }: Omit<Bundle, 'tar'>): Promise<string> {
  const { formatSize } = await import('./tar.ts')
  return `${files} ${files === 1 ? 'file' : 'files'}, ${formatSize(size)}`
}

function withoutTar({ tar: _, ...rest }: Bundle): Omit<Bundle, 'tar'> {
  return rest
}
