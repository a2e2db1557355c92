import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdir, readdir, readlink, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { listBelow } from '../../host/folder.ts'
import { buildRuntime, type RuntimeOptions } from './runtime.ts'

const FDK = join(import.meta.dirname, '../../fdk')

/** A program that passes for a Node without libraries, so that a build takes no time. */
async function rig(): Promise<AsyncDisposable & RuntimeOptions & { readonly root: string }> {
  const temp = await tempDir()
  const node = join(temp.path, 'node')
  const fdk = join(temp.path, 'fdk')
  await writeFile(node, "#!/bin/sh\necho '[]'\n", { mode: 0o755 })
  await mkdir(fdk)
  await writeFile(join(fdk, 'bootstrap.cjs'), '// one')
  return {
    root: temp.path,
    dir: join(temp.path, 'runtime'),
    node,
    fdk,
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  }
}

const versionsIn = async (dir: string) => (await readdir(dir)).filter((name) => name !== 'digests.json')

test('its Node runs with nothing else of the machine, and looks names up', {
  skip: canSandbox(),
}, async () => {
  await using temp = await tempDir()
  const runtime = await buildRuntime({ dir: join(temp.path, 'runtime'), fdk: FDK })
  const script = `require('node:dns').lookup('localhost', (error, address) => console.log(process.version, address))`
  const { stdout } = await promisify(execFile)('bwrap', [
    ...['--unshare-all', '--ro-bind', runtime.dir, '/', '--proc', '/proc', '--dev', '/dev', '--clearenv'],
    ...[runtime.node, '-e', `require('${runtime.bootstrap.replace('bootstrap', 'response')}'); ${script}`],
  ])
  assert.match(stdout, new RegExp(`^${process.version} (127.0.0.1|::1)\n$`))
})

test('its shell has the usual commands', async (t) => {
  await using temp = await rig()
  const { dir, shell } = await buildRuntime(temp)
  if (!shell) {
    if (process.env['CI']) throw new Error('busybox-static is not installed')
    return t.skip('install busybox-static')
  }
  for (const name of ['sh', 'cat', 'sleep']) assert.equal(await readlink(join(dir, 'bin', name)), 'busybox')
  const { stdout } = await promisify(execFile)(join(dir, 'usr/bin/env'), ['true'])
  assert.equal(stdout, '')
})

test('the same parts are the same version, made once', async () => {
  await using temp = await rig()
  const first = await buildRuntime(temp)
  const { ino } = await stat(first.dir)
  const steps: string[] = []
  const second = await buildRuntime({ ...temp, onStep: (step) => steps.push(step) })
  assert.deepEqual([second, (await stat(second.dir)).ino, steps], [first, ino, []])
})

test('another folder gives the same version to the same parts', async () => {
  await using temp = await rig()
  await cp(temp.fdk, join(temp.root, 'copy'), { recursive: true })
  const first = await buildRuntime(temp)
  const second = await buildRuntime({
    ...temp,
    dir: join(temp.root, 'other'),
    fdk: join(temp.root, 'copy'),
  })
  assert.equal(second.version, first.version)
})

test('a changed part is another version, even of the same size', async () => {
  await using temp = await rig()
  const { version } = await buildRuntime(temp)
  await writeFile(join(temp.fdk, 'bootstrap.cjs'), '// two')
  assert.notEqual((await buildRuntime(temp)).version, version)
})

test('the version used before the newest is kept, an older one is removed', async () => {
  await using temp = await rig()
  const versions: string[] = []
  for (const text of ['// one', '// two', '// three', '// two']) {
    await writeFile(join(temp.fdk, 'bootstrap.cjs'), text)
    versions.push((await buildRuntime(temp)).version)
  }
  assert.deepEqual((await versionsIn(temp.dir)).sort(), versions.slice(1, 3).sort())
})

test('builds at once in one folder end with one whole version', async () => {
  await using temp = await rig()
  const all = await Promise.all(Array.from({ length: 5 }, () => buildRuntime(temp)))
  assert.equal(new Set(all.map(({ dir }) => dir)).size, 1)
  assert.deepEqual(await versionsIn(temp.dir), [all[0]?.version])
})

test('what a killed build left is removed, and not trusted', async () => {
  await using temp = await rig()
  const { pid } = spawnSync('true')
  const half = join(temp.dir, `.half-${pid}-abcdef`)
  await mkdir(join(half, 'rootfs'), { recursive: true })
  const { version } = await buildRuntime(temp)
  assert.deepEqual(await versionsIn(temp.dir), [version])
})

test('an aborted build leaves nothing', async () => {
  await using temp = await rig()
  const aborter = new AbortController()
  const onStep = (step: string) => step.startsWith('copying') && aborter.abort(new Error('enough'))
  await assert.rejects(buildRuntime({ ...temp, signal: aborter.signal, onStep }), /enough/)
  assert.deepEqual(await versionsIn(temp.dir), [])
})

test('all may read and search it, nobody else may write, whatever the umask', async () => {
  await using temp = await rig()
  const umask = process.umask(0o077)
  try {
    const { dir } = await buildRuntime(temp)
    const paths = [dir, ...(await listBelow(dir)).map((name) => join(dir, name))]
    const wrong: string[] = []
    for (const path of paths) {
      const found = await lstat(path)
      const wanted = found.isDirectory() ? 0o755 : found.mode & 0o100 ? 0o755 : 0o644
      if (!found.isSymbolicLink() && (found.mode & 0o7777) !== wanted) wrong.push(path)
    }
    assert.deepEqual(wrong, [])
    for (const path of [temp.dir, join(dir, '..')]) assert.equal((await stat(path)).mode & 0o777, 0o711)
  } finally {
    process.umask(umask)
  }
})

test('a busybox that needs libraries is refused with what to install', async () => {
  await using temp = await rig()
  await assert.rejects(buildRuntime({ ...temp, busybox: process.execPath }), /install busybox-static/)
})

test('a Node that does not run is named', async () => {
  await using temp = await rig()
  const node = join(temp.root, 'broken')
  await writeFile(node, '#!/bin/sh\nexit 1\n')
  await chmod(node, 0o755)
  await assert.rejects(buildRuntime({ ...temp, node }), {
    fault: 'unavailable',
    message: /broken does not run/,
  })
})

test('a folder without the bootstrap is refused', async () => {
  await using temp = await rig()
  await assert.rejects(buildRuntime({ ...temp, fdk: temp.root }), /has no bootstrap\.cjs/)
})
