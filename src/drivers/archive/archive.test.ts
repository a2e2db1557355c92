import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { configOf, dockerArchive, sha256, tarOf } from '../../../test/support/images.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { openImages } from './archive.ts'
import type { UnpackLimits } from './root.ts'

const never = new AbortController().signal
const ARCH = process.arch === 'x64' ? 'amd64' : process.arch

async function rig(limits: Partial<UnpackLimits> = {}) {
  const temp = await tempDir()
  const dir = join(temp.path, 'images')
  const cache = join(temp.path, 'cache')
  await mkdir(dir)
  const images = openImages({ dir, cache, limits })
  return {
    dir,
    cache,
    put: (name: string, content: string | Uint8Array) => writeFile(join(dir, name), content),
    open: (ref: string, signal = never) => images.open(ref, signal),
    /** The text of /a in an image. */
    async read(ref: string): Promise<string> {
      const { rootfs } = await images.open(ref, never)
      return readFile(join(rootfs, 'a'), 'utf8')
    },
    cached: async () => (await readdir(cache).catch(() => [])).sort(),
    [Symbol.asyncDispose]: temp[Symbol.asyncDispose],
  }
}

const layerOf = (content: string) => tarOf([{ name: 'a', content }])

interface Layout {
  readonly files: Readonly<Record<string, string | Uint8Array>>
  readonly digest: string
}

/** The files of an OCI layout whose one image lies in an index for several processors. */
async function layoutOf(
  content: string,
  annotations: Record<string, string> = {},
  squeeze: (bytes: Uint8Array) => Uint8Array = gzipSync,
): Promise<Layout> {
  const layer = await layerOf(content)
  const files: Record<string, string | Uint8Array> = {}
  const blob = (bytes: string | Uint8Array) => {
    const digest = sha256(bytes)
    files[`blobs/${digest.replace(':', '/')}`] = bytes
    return { digest, size: bytes.length }
  }
  const manifest = blob(JSON.stringify({ config: blob(configOf([layer])), layers: [blob(squeeze(layer))] }))
  const foreign = { digest: sha256('foreign'), size: 7, platform: { os: 'linux', architecture: 'riscv64' } }
  const index = blob(
    JSON.stringify({
      manifests: [foreign, { ...manifest, platform: { os: 'linux', architecture: ARCH } }],
    }),
  )
  files['oci-layout'] = JSON.stringify({ imageLayoutVersion: '1.0.0' })
  files['index.json'] = JSON.stringify({ manifests: [{ ...index, annotations }] })
  return { files, digest: index.digest }
}

async function writeLayout(dir: string, { files }: Layout): Promise<void> {
  await mkdir(join(dir, 'blobs/sha256'), { recursive: true })
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content)
}

const packLayout = ({ files }: Layout) =>
  tarOf(Object.entries(files).map(([name, content]) => ({ name, content })))

test('a docker save archive is opened by any of its names', async () => {
  await using r = await rig()
  await r.put('x.tar', await dockerArchive(['app:1', 'reg.example:5000/team/app:2'], [await layerOf('one')]))
  for (const ref of ['app:1', 'docker.io/library/app:1', 'library/app:1', 'reg.example:5000/team/app:2'])
    assert.equal(await r.read(ref), 'one')
})

for (const [end, squeeze] of [
  ['tar.gz', gzipSync],
  ['tgz', gzipSync],
  ['tar.zst', zstdCompressSync],
] as const)
  test(`an archive may be a ${end}`, async () => {
    await using r = await rig()
    const layers = [await layerOf('one'), await tarOf([{ name: 'b', content: 'x'.repeat(100_000) }])]
    await r.put(`x.${end}`, squeeze(await dockerArchive(['app'], layers)))
    const { rootfs } = await r.open('app')
    assert.equal((await stat(join(rootfs, 'b'))).size, 100_000)
    assert.equal(await r.read('app'), 'one')
  })

for (const [kind, squeeze] of [
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
  ['plain', (bytes: Uint8Array) => bytes],
] as const)
  test(`an OCI layout with ${kind} layers gives this machine’s image of an index`, async () => {
    await using r = await rig()
    await writeLayout(join(r.dir, 'app'), await layoutOf('one', {}, squeeze))
    assert.equal(await r.read('app'), 'one')
  })

test('a bare tag in a layout belongs to the name of its folder', async () => {
  await using r = await rig()
  await writeLayout(join(r.dir, 'app'), await layoutOf('one', { 'org.opencontainers.image.ref.name': 'v1' }))
  assert.equal(await r.read('app:v1'), 'one')
  await assert.rejects(r.open('app:latest'), { fault: 'image-missing' })
})

test('an oci-archive is named by its annotations, the full name first', async () => {
  await using r = await rig()
  const names = {
    'org.opencontainers.image.ref.name': '2',
    'io.containerd.image.name': 'docker.io/library/full:2',
  }
  await r.put('x.tar', await packLayout(await layoutOf('one', names)))
  assert.equal(await r.read('full:2'), 'one')
  await assert.rejects(r.open('x:2'), { fault: 'image-missing' })
})

test('a digest finds its image, whatever its name', async () => {
  await using r = await rig()
  const layout = await layoutOf('one')
  await r.put('x.tar', await packLayout(layout))
  assert.equal(await r.read(`other@${layout.digest}`), 'one')
  await assert.rejects(r.open(`x@${sha256('other')}`), { fault: 'image-missing' })
})

test('an image that is not there is an error with the names of those that are', async () => {
  await using r = await rig()
  await r.put('x.tar', await dockerArchive(['app:1'], [await layerOf('one')]))
  await r.put('broken.tar', 'nothing of the kind'.repeat(100))
  await assert.rejects(r.open('nope'), {
    fault: 'image-missing',
    message: /image nope .* has app:1; not readable: broken\.tar: /,
  })
})

test('without a folder there is no image', async () => {
  await using r = await rig()
  const images = openImages({ dir: join(r.dir, 'absent'), cache: r.cache })
  await assert.rejects(images.open('app', never), { fault: 'image-missing', message: /has no image/ })
})

test('an archive that is put there later, or replaced, is seen', async () => {
  await using r = await rig()
  await assert.rejects(r.open('app'), { fault: 'image-missing' })
  await r.put('x.tar', await dockerArchive(['app'], [await layerOf('one')]))
  assert.equal(await r.read('app'), 'one')
  await r.put('x.tar', await dockerArchive(['app'], [await layerOf('two, longer')]))
  assert.equal(await r.read('app'), 'two, longer')
})

test('a layer that is not what its digest says is refused, and nothing of it is kept', async () => {
  await using r = await rig()
  await r.put('x.tar', await dockerArchive(['app'], [await layerOf('two')], configOf([await layerOf('one')])))
  await assert.rejects(r.open('app'), { fault: 'bad-spec', message: /not what its digest says/ })
  assert.deepEqual(await r.cached(), [])
})

test('a blob of a layout that is not what its digest says is refused', async () => {
  await using r = await rig()
  const layout = await layoutOf('one')
  const path = `blobs/${layout.digest.replace(':', '/')}`
  await writeLayout(join(r.dir, 'app'), { ...layout, files: { ...layout.files, [path]: '{"manifests":[]}' } })
  await assert.rejects(r.open('app'), { message: /not what its digest says/ })
})

test('an image beyond the limit of bytes or entries is refused, and nothing of it is kept', async () => {
  for (const limits of [{ bytes: 100_000 }, { entries: 3 }]) {
    await using r = await rig(limits)
    const many = Array.from({ length: 5 }, (_, at) => ({ name: `${at}`, content: 'x'.repeat(50_000) }))
    await r.put('x.tar.gz', gzipSync(await dockerArchive(['app'], [await tarOf(many)])))
    await assert.rejects(r.open('app'), { fault: 'bad-spec', message: /more than/ })
    assert.deepEqual(await r.cached(), [])
  }
})

test('the config says how it is run, the user in numbers of its own list', async () => {
  await using r = await rig()
  const layer = await tarOf([
    { name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\nfn:x:12:34::/:/bin/sh\n' },
    { name: 'etc/group', content: 'staff:x:50:\n' },
  ])
  const config = (User: string) =>
    configOf([layer], { Entrypoint: ['/a'], Cmd: null, Env: ['A=b=c'], WorkingDir: '/srv/app', User })
  for (const [user, wanted] of [
    ['', ''],
    ['7', '7'],
    ['fn', '12:34'],
    ['fn:staff', '12:50'],
    ['fn:9', '12:9'],
  ] as const) {
    await r.put('x.tar', await dockerArchive(['app'], [layer], config(user)))
    const opened = await r.open('app')
    const wantedConfig = { entrypoint: ['/a'], cmd: [], env: { A: 'b=c' }, workDir: '/srv/app', user: wanted }
    assert.deepEqual(opened.config, wantedConfig)
    assert.ok((await stat(join(opened.rootfs, 'srv/app'))).isDirectory())
  }
  await r.put('x.tar', await dockerArchive(['app'], [layer], config('nobody')))
  await assert.rejects(r.open('app'), { fault: 'bad-spec', message: /"nobody" is not among/ })
})

test('what is mounted over is there, and is no link', async () => {
  await using r = await rig()
  const layer = await tarOf([
    { name: 'tmp', type: 'symlink', linkname: '/etc' },
    { name: 'etc/resolv.conf', type: 'symlink', linkname: '../run/x' },
  ])
  await r.put('x.tar', await dockerArchive(['app'], [layer]))
  const { rootfs } = await r.open('app')
  assert.deepEqual((await readdir(rootfs)).sort(), ['dev', 'etc', 'proc', 'sys', 'tmp'])
  assert.deepEqual((await readdir(join(rootfs, 'etc'))).sort(), ['hostname', 'hosts', 'resolv.conf'])
  const kinds = await readdir(join(rootfs, 'etc'), { withFileTypes: true })
  assert.ok(kinds.every((entry) => entry.isFile()))
})

test('several who open it at once share one unpacking', async () => {
  await using r = await rig()
  await r.put('x.tar', await dockerArchive(['app', 'other'], [await layerOf('one')]))
  const all = await Promise.all(['app', 'other', 'app'].map((ref) => r.open(ref)))
  assert.equal(new Set(all.map(({ rootfs }) => rootfs)).size, 1)
  assert.equal((await r.cached()).length, 1)
})

test('an image is unpacked once', async () => {
  await using r = await rig()
  await r.put('x.tar', await dockerArchive(['app'], [await layerOf('one')]))
  const { ino } = await stat((await r.open('app')).rootfs)
  const again = openImages({ dir: r.dir, cache: r.cache })
  assert.equal((await stat((await again.open('app', never)).rootfs)).ino, ino)
})

test('what a killed node had half unpacked is removed', async () => {
  await using r = await rig()
  await mkdir(join(r.cache, `.half-${spawnSync('true').pid}-abcdef`, 'rootfs'), { recursive: true })
  await r.put('x.tar', await dockerArchive(['app'], [await layerOf('one')]))
  await r.open('app')
  assert.equal((await r.cached()).length, 1)
})

test('aborting rejects with the reason and leaves nothing', async () => {
  await using r = await rig()
  const layer = await tarOf(Array.from({ length: 500 }, (_, at) => ({ name: `f${at}` })))
  await r.put('x.tar', await dockerArchive(['app'], [layer]))
  const aborter = new AbortController()
  const opening = r.open('app', aborter.signal)
  const abort = async () => {
    while ((await r.cached()).length === 0) await stat(r.dir)
    aborter.abort(new Error('enough'))
  }
  await Promise.all([assert.rejects(opening, /^Error: enough$/), abort()])
  assert.deepEqual(await r.cached(), [])
})
