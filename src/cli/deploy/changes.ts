import { isDeepStrictEqual } from 'node:util'
import { FN_LIMITS, FN_SETTINGS, type Fn } from '../../core/words.ts'
import type { FuncFile } from '../func-file.ts'
import { formatRecord, RECORD, readRecord } from './record.ts'

/** One thing of a function that a deploy sets. Of `config.KEY` and `annotations.KEY` no value is told. */
export interface FieldChange {
  readonly name: string
  readonly change: 'set' | 'changed' | 'removed'
  readonly from?: unknown
  readonly to?: unknown
}

export interface FnChanges {
  /** What is sent: merged into the function by the server. */
  readonly body: Partial<Fn>
  readonly fields: readonly FieldChange[]
}

/** What `func.yaml` can say of a function besides its maps. Left out of it, these are as they are here. */
const DEFAULTS = { ...FN_LIMITS, ...FN_SETTINGS }
const SETTINGS = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]
const MAPS = ['config', 'annotations'] as const

/** A function that is not there yet. */
export function newFn(func: FuncFile, image: string): FnChanges {
  const named = SETTINGS.filter((name) => func[name] !== undefined)
  const settings = { image, ...Object.fromEntries(named.map((name) => [name, func[name]])) }
  const fields = Object.entries(settings).map(([name, to]) => ({ name, change: 'set' as const, to }))
  const maps = MAPS.map((map) => mapChanges(map, {}, func[map], []))
  const config = maps[0]?.body ?? {}
  const annotations = { ...maps[1]?.body, ...formatRecord(func) }
  return {
    body: {
      ...settings,
      ...(Object.keys(config).length > 0 && { config: config as Fn['config'] }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    fields: [...fields, ...maps.flatMap(({ fields }) => fields)],
  }
}

/**
 * What makes `existing` as the file says. Its settings are what the file says or else the default. Of config and
 * annotations the file owns the keys that it names or named at the deploy before; others were set by other means.
 */
export function changesOf(existing: Fn, func: FuncFile, image: string): FnChanges {
  const wanted = {
    image,
    ...Object.fromEntries(SETTINGS.map((name) => [name, func[name] ?? DEFAULTS[name]])),
  }
  const settings = Object.entries(wanted)
    .map(([name, to]) => ({ name, change: 'changed' as const, from: currentOf(existing, name), to }))
    .filter(({ from, to }) => !isDeepStrictEqual(from, to))
  const record = readRecord(existing.annotations)
  const config = mapChanges('config', existing.config, func.config, record.config)
  const annotations = mapChanges('annotations', existing.annotations, func.annotations, record.annotations)
  const notes = recordChanges(existing, func)
  const body: Partial<Fn> = {
    ...Object.fromEntries(settings.map(({ name, to }) => [name, to])),
    ...(config.fields.length > 0 && { config: config.body as Fn['config'] }),
    ...(annotations.fields.length + Object.keys(notes).length > 0 && {
      annotations: { ...annotations.body, ...notes },
    }),
  }
  return { body, fields: [...settings, ...config.fields, ...annotations.fields] }
}

/** Another server of the v2 API knows fewer settings. */
const currentOf = (fn: Fn, name: string): unknown =>
  fn[name as keyof Fn] ?? (DEFAULTS as Readonly<Record<string, unknown>>)[name]

type Keyed = Readonly<Record<string, unknown>>

/** In a map, "" removes a key. */
function mapChanges(
  map: string,
  current: Keyed = {},
  wanted: Keyed = {},
  owned: readonly string[],
): { readonly body: Keyed; readonly fields: readonly FieldChange[] } {
  const gone = owned.filter((key) => Object.hasOwn(current, key) && !Object.hasOwn(wanted, key))
  const set = Object.keys(wanted).filter((key) => !isDeepStrictEqual(current[key], wanted[key]))
  const fields = [
    ...set.map(
      (key) => ({ name: `${map}.${key}`, change: Object.hasOwn(current, key) ? 'changed' : 'set' }) as const,
    ),
    ...gone.map((key) => ({ name: `${map}.${key}`, change: 'removed' }) as const),
  ]
  return {
    body: Object.fromEntries([...set.map((key) => [key, wanted[key]]), ...gone.map((key) => [key, ''])]),
    fields,
  }
}

/** The annotations that keep the record, where they differ. */
function recordChanges(existing: Fn, func: FuncFile): Keyed {
  const wanted = formatRecord(func)
  const before = Object.keys(existing.annotations ?? {}).filter((key) => key.startsWith(RECORD))
  const stale = before.filter((key) => !Object.hasOwn(wanted, key)).map((key) => [key, ''] as const)
  const fresh = Object.entries(wanted).filter(
    ([key, value]) => !isDeepStrictEqual(existing.annotations?.[key], value),
  )
  return Object.fromEntries([...fresh, ...stale])
}
