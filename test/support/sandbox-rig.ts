import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Pack, pack } from 'tar-stream'
import { CONTRACT_IMAGE } from '../../src/drivers/contract/images.ts'
import { findBusybox } from '../../src/drivers/runtime/busybox.ts'
import { buildRuntime, type Runtime } from '../../src/drivers/runtime/runtime.ts'

/** What bundles run on in these tests, in a folder of theirs. */
export function buildRigRuntime(dir: string): Promise<Runtime> {
  return buildRuntime({ dir: join(dir, 'runtime'), fdk: join(import.meta.dirname, '../../src/fdk') })
}

export const IMAGE = 'sluice-sandbox/contract:1'

/** Puts the image of the contract into a folder, as `docker save` writes one. @returns its name */
export async function saveImage(dir: string): Promise<string | undefined> {
  const busybox = await findBusybox()
  if (busybox === undefined) return undefined
  const layer = await tar(async (tar) => {
    tar.entry({ name: 'bin/', type: 'directory', mode: 0o755 })
    tar.entry({ name: 'srv/', type: 'directory', mode: 0o755 })
    tar.entry({ name: 'bin/sh', mode: 0o755 }, await readFile(busybox))
  })
  const diff = `sha256:${createHash('sha256').update(layer).digest('hex')}`
  const config = JSON.stringify({
    os: 'linux',
    config: CONTRACT_IMAGE,
    rootfs: { type: 'layers', diff_ids: [diff] },
  })
  const name = createHash('sha256').update(config).digest('hex')
  const manifest = [{ Config: `${name}.json`, RepoTags: [IMAGE], Layers: ['layer.tar'] }]
  const archive = await tar(async (tar) => {
    tar.entry({ name: 'manifest.json' }, JSON.stringify(manifest))
    tar.entry({ name: `${name}.json` }, config)
    tar.entry({ name: 'layer.tar' }, layer)
  })
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'contract.tar'), archive)
  return IMAGE
}

async function tar(fill: (tar: Pack) => Promise<void>): Promise<Buffer> {
  const all = pack()
  await fill(all)
  all.finalize()
  return buffer(all)
}
