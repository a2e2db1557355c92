import type { Annotations } from '../../core/words.ts'
import type { FuncFile } from '../func-file.ts'

/**
 * Annotations of a function that say which keys of its config and annotations its func.yaml named at the last
 * deploy, so that the next one removes what was removed from the file and leaves what others have set.
 * Several, since a server takes at most 512 bytes a value.
 */
export const RECORD = 'sluice/func.yaml/'
/** Marks a trigger that a func.yaml named. */
export const TRIGGER_MARK = 'sluice/func.yaml'
const MOST_BYTES = 480

export interface DeployRecord {
  readonly config: readonly string[]
  readonly annotations: readonly string[]
}

/** A key that alone is too long to be noted stays when it leaves the file. */
export function formatRecord({ config = {}, annotations = {} }: FuncFile): Annotations {
  const keys = [
    ...Object.keys(config).map((key) => `config.${key}`),
    ...Object.keys(annotations).map((key) => `annotations.${key}`),
  ].sort()
  const pages: string[][] = []
  for (const key of keys.filter((key) => sizeOf([key]) <= MOST_BYTES)) {
    const page = pages.at(-1)
    if (page && sizeOf([...page, key]) <= MOST_BYTES) page.push(key)
    else pages.push([key])
  }
  return Object.fromEntries(pages.map((page, index) => [`${RECORD}${index + 1}`, page]))
}

export function readRecord(annotations: Annotations = {}): DeployRecord {
  const keys = Object.entries(annotations)
    .filter(([key, value]) => key.startsWith(RECORD) && Array.isArray(value))
    .flatMap(([, value]) => (value as unknown[]).filter((key) => typeof key === 'string'))
  const of = (map: string) =>
    keys.filter((key) => key.startsWith(`${map}.`)).map((key) => key.slice(map.length + 1))
  return { config: of('config'), annotations: of('annotations') }
}

const sizeOf = (keys: readonly string[]) => Buffer.byteLength(JSON.stringify(keys))
