import { type App, bundleDigest } from '../../core/words.ts'
import type { Bundle } from '../bundle.ts'
import type { Client } from '../client.ts'
import type { FuncFile } from '../func-file.ts'
import { formatTable, type Io, paint, print } from '../io.ts'
import type { FieldChange } from './changes.ts'
import type { Change, PutFunction, PutTrigger } from './put.ts'

export type BundleSummary = Omit<Bundle, 'tar' | 'contents'>

export interface Deployed {
  readonly app: App
  readonly appChange: Change
  readonly bundle: (BundleSummary & { readonly uploaded: boolean }) | undefined
  readonly put: PutFunction
  readonly triggers: readonly PutTrigger[]
}

/** What programs are told. */
export function toJson(client: Client, { app, appChange, bundle, put, triggers }: Deployed): object {
  return {
    app,
    function: put.fn,
    triggers: triggers
      .filter(({ change }) => change !== 'removed')
      .map(({ trigger }) => ({ ...trigger, url: client.triggerUrl(app, trigger) })),
    url: client.invokeUrl(put.fn),
    bundle: bundle ?? null,
    changes: {
      app: appChange,
      function: put.change,
      fields: put.fields,
      triggers: Object.fromEntries(triggers.map(({ trigger, change }) => [trigger.name, change])),
    },
  }
}

/** What people are told. */
export async function showReport(io: Io, client: Client, report: Deployed, func: FuncFile): Promise<void> {
  const { app, bundle, put, triggers } = report
  const url = client.invokeUrl(put.fn)
  const rows = [
    ['app', app.name, report.appChange, ''],
    ...(bundle ? [await bundleRow(bundle)] : []),
    ['function', put.fn.name, put.change, ''],
    ...triggers.map(({ trigger, change }) => [
      'trigger',
      trigger.name,
      change,
      change === 'removed' ? trigger.source : client.triggerUrl(app, trigger),
    ]),
  ]
  print(io, paint(io, 'stdout', 'green', `Deployed ${put.fn.name} to app ${app.name}: ${url}`))
  print(io, formatTable(io, rows[0] ?? [], rows.slice(1)))
  if (put.change === 'updated') print(io, ['\nChanged:', ...formatChanges(put.fields)].join('\n'))
  print(io, '\nCall it:')
  const trigger = triggers.find(({ change }) => change !== 'removed')?.trigger
  const type = func.content_type ? `-H 'Content-Type: ${func.content_type}' ` : ''
  print(io, `  curl -X POST ${type}'${url}'`)
  if (trigger) print(io, `  curl ${type}'${client.triggerUrl(app, trigger)}'`)
  print(io, `  sluice invoke ${app.name} ${put.fn.name}`)
}

async function bundleRow(bundle: NonNullable<Deployed['bundle']>): Promise<string[]> {
  const { formatSize } = await import('../tar.ts')
  const { files, size, uploaded, digest } = bundle
  const sizes = `${files} ${files === 1 ? 'file' : 'files'}, ${formatSize(size)}`
  return ['bundle', digest.slice(0, 12), uploaded ? 'uploaded' : 'unchanged', sizes]
}

/** `network: true → false`. Of config and annotations the key alone: a value may be a secret. */
const formatChanges = (fields: readonly FieldChange[]): string[] =>
  fields.map(({ name, change, ...values }) =>
    'to' in values
      ? `  ${name}: ${formatValue(values.from)} → ${formatValue(values.to)}`
      : `  ${name}: ${change}`,
  )

function formatValue(value: unknown): string {
  const digest = bundleDigest(String(value))
  return digest === undefined ? String(value) : `bundle ${digest.slice(0, 12)}`
}
