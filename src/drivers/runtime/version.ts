import { createHash } from 'node:crypto'
import type { Part } from './parts.ts'

type Digest = (file: string) => Promise<string>

/** The first 16 hex digits of the sha256 of all paths, modes, links and contents. */
export async function versionOf(parts: readonly Part[], digest: Digest): Promise<string> {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${JSON.stringify(await describe(part, digest))}\n`)
  return hash.digest('hex').slice(0, 16)
}

async function describe(part: Part, digest: Digest): Promise<readonly unknown[]> {
  const { kind, path } = part
  if (kind === 'link') return [kind, path, part.to]
  if (kind === 'folder') return [kind, path]
  if (kind === 'text') return [kind, path, part.text]
  return [kind, path, part.mode, await digest(part.from)]
}
