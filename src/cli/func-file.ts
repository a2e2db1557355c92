import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parse } from 'yaml'
import { messageOf, SluiceError } from '../core/errors.ts'
import { type FnSettings, FORMATS } from '../core/words.ts'

/** What a `func.yaml` says. A setting that it leaves out has its default. */
export interface FuncFile extends Partial<FnSettings> {
  readonly name: string
  readonly version?: string
  readonly runtime?: string
  /** An image of a registry, instead of the folder. */
  readonly image?: string
  /** MiB. */
  readonly memory?: number
  /** Seconds. */
  readonly timeout?: number
  /** Seconds. */
  readonly idle_timeout?: number
  readonly config?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, unknown>>
  /** Of the body when a call of this function says nothing else. */
  readonly content_type?: string
  readonly triggers: readonly FuncTrigger[]
}

export interface FuncTrigger {
  readonly name: string
  readonly type: string
  readonly source: string
}

interface Rule {
  readonly expects: string
  accepts(value: unknown): boolean
}

const text: Rule = { expects: 'a text', accepts: (value) => typeof value === 'string' && value !== '' }
const label: Rule = {
  expects: 'a text',
  accepts: (value) => typeof value === 'string' || typeof value === 'number',
}
const flag: Rule = { expects: 'true or false', accepts: (value) => typeof value === 'boolean' }
const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Rule => ({
  expects: `a whole number ${most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`}`,
  accepts: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
})
const atLeast = (least: number): Rule => ({
  expects: `a number of ${least} or more`,
  accepts: (value) => typeof value === 'number' && Number.isFinite(value) && value >= least,
})
const map = (expects: string, accepts: (value: unknown) => boolean): Rule => ({
  expects,
  accepts: (value) => isMap(value) && Object.values(value).every(accepts),
})
const scalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value)

const RULES: Readonly<Record<string, Rule>> = {
  schema_version: label,
  name: text,
  version: label,
  runtime: text,
  image: text,
  memory: whole(1, 8192),
  timeout: whole(1, 300),
  idle_timeout: whole(1, 3600),
  config: map('a map of texts', scalar),
  annotations: map('a map of values, none of them empty', (value) => value !== null && value !== ''),
  content_type: text,
  triggers: {
    expects: 'a list of name, type, source',
    accepts: (value) => Array.isArray(value) && value.every(isMap),
  },
  format: { expects: `one of ${FORMATS.join(', ')}`, accepts: (value) => FORMATS.includes(value as never) },
  cpus: atLeast(0),
  tmpfs_size: whole(0),
  concurrency: whole(1),
  max_concurrency: whole(0),
  start_timeout: atLeast(0),
  max_wait: atLeast(0),
  min_warm: whole(0),
  async: {
    expects: 'false: calls that are answered before they run do not work yet',
    accepts: (value) => value === false,
  },
  network: flag,
} satisfies Record<keyof FuncFile | 'schema_version', Rule>

const TRIGGER_RULES: Readonly<Record<string, Rule>> = {
  name: text,
  type: { expects: 'http', accepts: (value) => value === 'http' },
  source: {
    expects: 'a path that starts with "/"',
    accepts: (value) => typeof value === 'string' && value.startsWith('/'),
  },
} satisfies Record<keyof FuncTrigger, Rule>

/** Keys of Fn's own tool that mean nothing here and harm nobody. */
const OF_OTHERS = new Set(['build', 'build_image', 'run_image', 'cmd', 'entrypoint', 'expects'])

/** What a folder's func file says, or `undefined` in place of its path when it has none. */
export interface ReadFuncFile {
  readonly func: FuncFile
  readonly path: string | undefined
  /** Sentences. */
  readonly warnings: readonly string[]
}

/**
 * Reads the `func.yaml` (or `func.yml`) of a folder. Without one the function has the folder's name and defaults.
 * @throws SluiceError `invalid` naming file, key, rule and value
 */
export async function readFuncFile(dir: string): Promise<ReadFuncFile> {
  for (const name of ['func.yaml', 'func.yml']) {
    const path = join(dir, name)
    const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined // what is no folder is refused later
      throw new SluiceError('invalid', `${path} cannot be read`, { cause: error, detail: error.message })
    })
    if (content !== undefined) return { ...parseFuncFile(content, path, basename(dir)), path }
  }
  return { func: { name: basename(dir), triggers: [] }, path: undefined, warnings: [] }
}

/** @param fallbackName the function's name when the file has none */
export function parseFuncFile(
  content: string,
  path: string,
  fallbackName: string,
): { func: FuncFile; warnings: string[] } {
  const warnings: string[] = []
  const fields = readFields(parseYaml(content, path), RULES, path, '', warnings)
  const triggers = ((fields['triggers'] ?? []) as Record<string, unknown>[]).map((trigger, index) => {
    const at = `triggers[${index}].`
    const given = { type: 'http', ...readFields(trigger, TRIGGER_RULES, path, at, warnings) }
    for (const key of Object.keys(TRIGGER_RULES))
      if (!(key in given)) throw new SluiceError('invalid', `${path}: ${at}${key} is missing`)
    return given as unknown as FuncTrigger
  })
  const { schema_version, ...rest } = fields
  for (const key of ['version', 'config'] as const) if (key in rest) rest[key] = asTexts(rest[key])
  return { func: { name: fallbackName, ...rest, triggers } as FuncFile, warnings }
}

function readFields(
  given: Record<string, unknown>,
  rules: Readonly<Record<string, Rule>>,
  path: string,
  at: string,
  warnings: string[],
): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(given)) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (value === null) continue // `config:` with nothing below it
    if (rule === undefined) {
      if (at !== '' || !OF_OTHERS.has(key)) warnings.push(unknownKey(key, rules, path, at))
    } else if (rule.accepts(value)) fields[key] = value
    else
      throw new SluiceError('invalid', `${path}: ${at}${key} must be ${rule.expects}`, {
        detail: `got ${JSON.stringify(value)}`,
      })
  }
  return fields
}

function parseYaml(content: string, path: string): Record<string, unknown> {
  let value: unknown
  try {
    value = parse(content, { logLevel: 'error' }) ?? {}
  } catch (error) {
    const [first = ''] = messageOf(error).split('\n')
    throw new SluiceError('invalid', `${path} is not YAML`, { cause: error, detail: first.replace(/:$/, '') })
  }
  if (isMap(value)) return value
  throw new SluiceError('invalid', `${path} must hold keys and values`, {
    detail: `got ${JSON.stringify(value)}`,
  })
}

function unknownKey(key: string, rules: object, path: string, at: string): string {
  const [nearest] = Object.keys(rules)
    .map((known) => ({ known, distance: editDistance(key, known) }))
    .sort((a, b) => a.distance - b.distance)
  const near = nearest && nearest.distance <= Math.max(2, key.length / 3)
  return `${path}: unknown key ${at}${key} is ignored${near ? `; did you mean ${at}${nearest.known}?` : ''}`
}

/** Insertions, deletions and replacements between two words (Levenshtein), letter case aside. */
function editDistance(from: string, to: string): number {
  const [a, b] = [from.toLowerCase().slice(0, 64), to.toLowerCase()]
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

/** YAML reads `8080` as a number and `true` as a truth; a function's config is text. */
function asTexts(value: unknown): unknown {
  return isMap(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, String(item)]))
    : String(value)
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
