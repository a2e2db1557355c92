import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { type Header, pack } from 'tar-stream'

/** An entry of a tar. @default a plain file */
export type TarEntry = Partial<Header> & { readonly name: string; readonly content?: string | Uint8Array }

export async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const tar = pack()
  for (const { content = '', ...header } of entries)
    tar.entry({ mtime: new Date(0), ...header }, header.type ? Buffer.from(content) : content)
  tar.finalize()
  return buffer(tar)
}

export const sha256 = (bytes: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** A config that lists these layers' tars. */
export const configOf = (layers: readonly Uint8Array[], config: object = {}): string =>
  JSON.stringify({ os: 'linux', config, rootfs: { type: 'layers', diff_ids: layers.map(sha256) } })

/** What `docker save` writes of one image. */
export function dockerArchive(
  names: readonly string[],
  layers: readonly Uint8Array[],
  config: string = configOf(layers),
): Promise<Buffer> {
  const configName = `${sha256(config).slice('sha256:'.length)}.json`
  const paths = layers.map((_, at) => `${at}/layer.tar`)
  return tarOf([
    ...layers.map((content, at) => ({ name: paths[at] as string, content })),
    { name: configName, content: config },
    {
      name: 'manifest.json',
      content: JSON.stringify([{ Config: configName, RepoTags: names, Layers: paths }]),
    },
  ])
}
