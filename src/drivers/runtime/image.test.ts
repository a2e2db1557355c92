import assert from 'node:assert/strict'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { extract, type Header } from 'tar-stream'
import { Docker } from '../../../test/support/docker-client.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { sha256 } from '../../../test/support/images.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { packRuntime, runtimeImage, sizeOfRuntime } from './image.ts'
import { buildRuntime } from './runtime.ts'

/** A folder with little in it, of the shape of a runtime. */
async function smallRuntime(): Promise<AsyncDisposable & { readonly dir: string; readonly version: string }> {
  const temp = await tempDir()
  for (const name of ['bin', 'tmp']) await mkdir(join(temp.path, name), { mode: 0o755 })
  await writeFile(join(temp.path, 'bin', 'a'), 'x'.repeat(700), { mode: 0o755 })
  await writeFile(join(temp.path, 'bin', 'empty'), '', { mode: 0o644 })
  return { dir: temp.path, version: '0123456789abcdef', [Symbol.asyncDispose]: temp[Symbol.asyncDispose] }
}

async function entriesOf(
  bytes: Uint8Array,
): Promise<{ readonly header: Header; readonly content: Buffer }[]> {
  const tar = extract()
  tar.end(bytes)
  const entries = []
  for await (const entry of tar)
    entries.push({ header: entry.header, content: await buffer(entry as AsyncIterable<Uint8Array>) })
  return entries
}

test('the same runtime is packed into the same bytes', async () => {
  await using runtime = await smallRuntime()
  const [first, second] = [await buffer(packRuntime(runtime)), await buffer(packRuntime(runtime))]
  assert.ok(first.equals(second))
})

test('the config names the layer by its digest, and the manifest the config', async () => {
  await using runtime = await smallRuntime()
  const entries = await entriesOf(await buffer(packRuntime(runtime)))
  const contents = new Map(entries.map(({ header, content }) => [header.name, content]))
  const [manifest] = JSON.parse(String(contents.get('manifest.json')))
  const config = contents.get(manifest.Config) as Buffer
  assert.equal(`sha256:${manifest.Config}`, `${sha256(config)}.json`)
  assert.deepEqual(JSON.parse(String(config)).rootfs.diff_ids, [sha256(contents.get('layer.tar') as Buffer)])
  assert.deepEqual(manifest.RepoTags, [runtimeImage(runtime)])
})

test('all of a layer is root’s and of no time, and everybody may write to its /tmp', async () => {
  await using runtime = await smallRuntime()
  const [layer] = await entriesOf(await buffer(packRuntime(runtime)))
  const entries = await entriesOf(layer?.content as Buffer)
  const seen = entries.map(({ header: { name, mode, uid, gid, mtime } }) => [name, mode, uid, gid, +mtime])
  assert.deepEqual(seen, [
    ['bin/', 0o755, 0, 0, 0],
    ['bin/a', 0o755, 0, 0, 0],
    ['bin/empty', 0o644, 0, 0, 0],
    ['tmp/', 0o1777, 0, 0, 0],
  ])
  assert.equal(await sizeOfRuntime(runtime), 700)
})

for (const name of ['docker', 'podman'] as const) {
  const { host, skip } = testEngine(name)
  test(`${name} loads it and runs its Node and its shell`, { skip }, async () => {
    await using temp = await tempDir()
    await cp(join(import.meta.dirname, '../../fdk'), join(temp.path, 'fdk'), { recursive: true })
    await writeFile(join(temp.path, 'fdk', 'mark.cjs'), `// its own version: ${temp.path}`)
    const runtime = await buildRuntime({ dir: join(temp.path, 'runtime'), fdk: join(temp.path, 'fdk') })
    const docker = new Docker(host)
    await docker.load(packRuntime(runtime))
    try {
      const { Config } = await docker.inspectImage(runtimeImage(runtime))
      assert.equal(Config?.Labels?.['sluice.runtime'], runtime.version)
      const script = '/bin/node -e "process.exit(process.versions.node.split(\'.\')[0] - 20)"'
      assert.equal(
        await run(docker, runtimeImage(runtime), script),
        Number(process.versions.node.split('.')[0]) - 20,
      )
    } finally {
      await docker.removeImage(runtimeImage(runtime), true)
    }
  })
}

const ulimit = (Name: string) => ({ Name, Soft: 1024, Hard: 1024 })

/** The exit code of a shell's script in a container of its own. */
async function run(docker: Docker, image: string, script: string): Promise<number> {
  const id = await docker.create({
    Image: image,
    Cmd: ['/bin/sh', '-c', script],
    HostConfig: { NetworkMode: 'none', Ulimits: ['nofile', 'nproc'].map(ulimit) }, // podman's own ask for rights
  })
  try {
    await docker.start(id)
    return await docker.wait(id)
  } finally {
    await docker.remove(id)
  }
}
