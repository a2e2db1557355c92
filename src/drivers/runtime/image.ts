import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { listBelow } from '../../host/folder.ts'
import { ARCHITECTURE } from '../architecture.ts'
import type { Runtime } from './runtime.ts'
import { END, type Head, padding, tarHead } from './tar.ts'

/** The name under which engines know a runtime. */
export const runtimeImage = ({ version }: Pick<Runtime, 'version'>): string => `sluice-runtime:${version}`

/**
 * A `docker save` archive of the runtime, one layer, for `docker load` and `podman load`; the same bytes each time.
 * The layer comes first and is hashed on the way, so that nothing is read twice nor written anywhere.
 */
export function packRuntime(runtime: Pick<Runtime, 'version' | 'dir'>): Readable {
  return Readable.from(writeImage(runtime), { objectMode: false })
}

/** Bytes of its files. */
export async function sizeOfRuntime({ dir }: Pick<Runtime, 'dir'>): Promise<number> {
  return (await listEntries(dir)).reduce((sum, { head }) => sum + head.size, 0)
}

async function* writeImage(runtime: Pick<Runtime, 'version' | 'dir'>): AsyncGenerator<Uint8Array> {
  const entries = await listEntries(runtime.dir)
  const size = entries.reduce(
    (sum, { head }) => sum + 512 + head.size + padding(head.size).length,
    END.length,
  )
  const diffId = createHash('sha256')
  yield tarHead({ type: 'file', name: 'layer.tar', mode: 0o644, size })
  for await (const chunk of writeLayer(entries)) {
    diffId.update(chunk)
    yield chunk
  }
  yield padding(size)

  const config = JSON.stringify(configOf(runtime, `sha256:${diffId.digest('hex')}`))
  const configName = `${createHash('sha256').update(config).digest('hex')}.json`
  yield* writeText(configName, config)
  const manifest = [{ Config: configName, RepoTags: [runtimeImage(runtime)], Layers: ['layer.tar'] }]
  yield* writeText('manifest.json', JSON.stringify(manifest))
  yield END
}

interface Entry {
  readonly head: Head
  readonly from: string
}

/** Sorted, folders before what is in them. */
async function listEntries(root: string): Promise<Entry[]> {
  return Promise.all(
    (await listBelow(root)).map(async (name) => {
      const from = join(root, name)
      const stat = await lstat(from)
      if (stat.isSymbolicLink())
        return { from, head: { type: 'link', name, mode: 0o777, size: 0, target: await readlink(from) } }
      if (stat.isFile())
        return { from, head: { type: 'file', name, mode: stat.mode & 0o777, size: stat.size } }
      // On this machine it is nobody's but ours; in a container it is everybody's.
      return {
        from,
        head: { type: 'folder', name: `${name}/`, mode: name === 'tmp' ? 0o1777 : 0o755, size: 0 },
      }
    }),
  )
}

async function* writeLayer(entries: readonly Entry[]): AsyncGenerator<Uint8Array> {
  for (const { head, from } of entries) {
    yield tarHead(head)
    if (head.size === 0) continue
    let read = 0
    for await (const chunk of createReadStream(from, { highWaterMark: 1024 ** 2, end: head.size - 1 })) {
      read += chunk.length
      yield chunk
    }
    if (read !== head.size) throw new Error(`${from} shrank while it was read`)
    yield padding(head.size)
  }
  yield END
}

function* writeText(name: string, text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text)
  yield tarHead({ type: 'file', name, mode: 0o644, size: bytes.length })
  yield bytes
  yield padding(bytes.length)
}

function configOf({ version }: Pick<Runtime, 'version'>, diffId: string): object {
  const created = '1970-01-01T00:00:00Z'
  return {
    architecture: ARCHITECTURE,
    os: 'linux',
    created,
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: ['/bin/node'],
      WorkingDir: '/function',
      Labels: { 'sluice.runtime': version },
    },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, created_by: 'sluice runtime build' }],
  }
}
