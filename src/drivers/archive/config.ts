import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { refuse } from './refuse.ts'

/** What an image says of how it is run. */
export interface ImageConfig {
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** '' = `/`. */
  readonly workDir: string
  /** `uid` or `uid:gid` once it is unpacked, by the image's own list of users; '' when it names none. */
  readonly user: string
}

export interface ParsedConfig extends ImageConfig {
  /** Digests of the layers' uncompressed tars, lowest first. */
  readonly diffIds: readonly string[]
}

/** @throws DriverError `bad-spec` when it is no image's config */
export function parseConfig(text: string): ParsedConfig {
  const { config, rootfs } = parseJson(text) as Loose
  const { Entrypoint, Cmd, Env, WorkingDir, User } = (config ?? {}) as Loose
  const diffIds = (rootfs as Loose | undefined)?.['diff_ids']
  if (!isTexts(diffIds) || !diffIds.every(isDigest)) throw refuse('its config lists no layers')
  return {
    entrypoint: textsOf(Entrypoint, 'Entrypoint'),
    cmd: textsOf(Cmd, 'Cmd'),
    env: Object.fromEntries(textsOf(Env, 'Env').map(cutPair)),
    workDir: textOf(WorkingDir, 'WorkingDir'),
    user: textOf(User, 'User'),
    diffIds,
  }
}

/** Its fields may be anything. */
export type Loose = Readonly<Record<string, unknown>>

export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  throw refuse('a manifest or config of it is not JSON')
}

export const isDigest = (text: string): boolean => /^sha256:[0-9a-f]{64}$/.test(text)

export const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

function textsOf(value: unknown, field: string): string[] {
  if (value === undefined || value === null) return []
  if (isTexts(value) && !value.some((text) => text.includes('\0'))) return value
  throw refuse(`its config's ${field} is no list of texts`)
}

function textOf(value: unknown, field: string): string {
  return textsOf(value === undefined || value === null ? value : [value], field)[0] ?? ''
}

function cutPair(pair: string): [string, string] {
  const cut = pair.indexOf('=')
  if (cut < 1) throw refuse(`its config's Env has ${JSON.stringify(pair)}`)
  return [pair.slice(0, cut), pair.slice(cut + 1)]
}

/**
 * `user[:group]` in numbers.
 * @throws DriverError `bad-spec` when the image does not know a name
 */
export async function resolveUser(rootfs: string, user: string): Promise<string> {
  if (/^(\d{1,9}(:\d{1,9})?)?$/.test(user)) return user
  const [name = '', group] = user.split(':')
  const users = await readTable(rootfs, 'passwd')
  const row = users.find(([id, , uid]) => id === name || uid === name)
  const uid = row?.[2] ?? (isNumber(name) ? name : undefined)
  const gid =
    group === undefined
      ? row?.[3]
      : isNumber(group)
        ? group
        : (await readTable(rootfs, 'group')).find(([id]) => id === group)?.[2]
  if (!isNumber(uid) || !isNumber(gid))
    throw refuse(`its user ${JSON.stringify(user)} is not among those it lists`)
  return `${uid}:${gid}`
}

const isNumber = (text: string | undefined): text is string => /^\d{1,9}$/.test(text ?? '')

/** Of a plain file only: a link could lead out of the image. */
async function readTable(rootfs: string, name: string): Promise<string[][]> {
  const path = join(rootfs, 'etc', name)
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isFile() || found.size > 1024 ** 2) return []
  return (await readFile(path, 'utf8')).split('\n').map((line) => line.split(':'))
}
