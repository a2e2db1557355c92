import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'
import { systemClock, virtualClock } from '../core/clock.ts'
import { descriptors, descriptorsSince } from './contract/support.ts'
import { type RunResult, StartError, type StopReason } from './driver.ts'
import { awaitSocket, makeShortDir, type PinnedSocket, removeDir, type Starting } from './socket.ts'

const never = new AbortController().signal

/** A server that says its name to whoever connects. */
async function listen(path: string, name: string): Promise<AsyncDisposable & { connections: number }> {
  const server: Server = createServer((connection) => {
    listening.connections++
    connection.end(name)
    connection.on('error', () => {})
  })
  const listening = {
    connections: 0,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return listening
}

/** A socket that refuses connections, as one that is bound but does not listen yet: its server has gone. */
async function bindDeaf(path: string): Promise<void> {
  const server = await listen(`${path}.tmp`, 'gone')
  await rename(`${path}.tmp`, path)
  await server[Symbol.asyncDispose]()
}

const whoAnswers = (socket: PinnedSocket) => text(connect(socket.path))

interface Fake extends Starting {
  end(result: RunResult): void
  readonly stops: StopReason[]
}

/** A container that ends when it is stopped. */
function fakeContainer(): Fake {
  const stops: StopReason[] = []
  const { promise: ended, resolve } = Promise.withResolvers<RunResult>()
  return {
    ended,
    stops,
    end: resolve,
    output: () => 'last words',
    stop(reason) {
      stops.push(reason)
      resolve({ status: reason, oom: false, startedAt: 0 })
      return ended
    },
  }
}

const wait = (dir: string, container = fakeContainer(), clock = systemClock, signal = never) =>
  awaitSocket(dir, { timeoutMs: 10_000, clock, signal, container })

const badSocket = (error: unknown) => error instanceof StartError && error.fault === 'bad-socket'

describe('a socket that is accepted', () => {
  test('bound under another name, then linked', async () => {
    await using dir = await tempDir()
    await using _server = await listen(join(dir.path, 'lsnr.sock.tmp'), 'own')
    const waiting = wait(dir.path)
    await symlink('lsnr.sock.tmp', join(dir.path, 'lsnr.sock'))
    using socket = await waiting
    assert.equal(await whoAnswers(socket), 'own')
  })

  test('bound under another name, then renamed', async () => {
    await using dir = await tempDir()
    await using _server = await listen(join(dir.path, 'lsnr.sock.tmp'), 'own')
    const waiting = wait(dir.path)
    await rename(join(dir.path, 'lsnr.sock.tmp'), join(dir.path, 'lsnr.sock'))
    using socket = await waiting
    assert.equal(await whoAnswers(socket), 'own')
  })

  test('there before anybody waited', async () => {
    await using dir = await tempDir()
    await using _server = await listen(join(dir.path, 'lsnr.sock'), 'own')
    using socket = await wait(dir.path)
    assert.equal(await whoAnswers(socket), 'own')
  })

  test('bound under its final name, once somebody listens', async () => {
    await using dir = await tempDir()
    const path = join(dir.path, 'lsnr.sock')
    await bindDeaf(path)
    const waiting = wait(dir.path)
    await rm(path)
    await using _server = await listen(path, 'own')
    using socket = await waiting
    assert.equal(await whoAnswers(socket), 'own')
  })

  test('swapping link and name after the start changes nothing', async () => {
    await using dir = await tempDir()
    await using outside = await tempDir()
    await using _own = await listen(join(dir.path, 'own'), 'own')
    await using _other = await listen(join(outside.path, 'other'), 'other')
    await symlink('own', join(dir.path, 'lsnr.sock'))
    using socket = await wait(dir.path)
    await rename(join(dir.path, 'own'), join(dir.path, 'away'))
    await symlink(join(outside.path, 'other'), join(dir.path, 'own'))
    await rm(join(dir.path, 'lsnr.sock'))
    await symlink(join(outside.path, 'other'), join(dir.path, 'lsnr.sock'))
    assert.equal(await whoAnswers(socket), 'own')
  })
})

describe('a socket that is refused', () => {
  const attacks: Readonly<Record<string, (dir: string, outside: string) => Promise<void>>> = {
    'a link to a socket outside': (dir, outside) => symlink(outside, join(dir, 'lsnr.sock')),
    'a link upwards': (dir, outside) =>
      symlink(`../${outside.split('/').at(-2)}/other`, join(dir, 'lsnr.sock')),
    'a link to the folder itself': (dir) => symlink('.', join(dir, 'lsnr.sock')),
    'a link to the parent folder': (dir) => symlink('..', join(dir, 'lsnr.sock')),
    'a link to a link to a socket outside': async (dir, outside) => {
      await symlink(outside, join(dir, 'b'))
      await symlink('b', join(dir, 'lsnr.sock'))
    },
    'a link to nothing': (dir) => symlink('nothing', join(dir, 'lsnr.sock')),
    'a regular file': (dir) => writeFile(join(dir, 'lsnr.sock'), ''),
    'a folder': async (dir) => void (await mkdir(join(dir, 'lsnr.sock'))),
    'a named pipe': async (dir) => void execFileSync('mkfifo', [join(dir, 'lsnr.sock')]),
    'a link to a regular file': async (dir) => {
      await writeFile(join(dir, 'file'), '')
      await symlink('file', join(dir, 'lsnr.sock'))
    },
  }
  for (const [title, attack] of Object.entries(attacks))
    test(title, async () => {
      await using dir = await tempDir()
      await using outside = await tempDir()
      await using other = await listen(join(outside.path, 'other'), 'other')
      const held = descriptors()
      const container = fakeContainer()
      await attack(dir.path, join(outside.path, 'other'))
      await assert.rejects(wait(dir.path, container), badSocket)
      assert.deepEqual(container.stops, ['killed'])
      assert.equal(other.connections, 0)
      assert.deepEqual(descriptorsSince(held), [])
    })
})

describe('no socket', () => {
  test('the end of the container ends the waiting, with its result and its last words', async () => {
    await using dir = await tempDir()
    const container = fakeContainer()
    const waiting = wait(dir.path, container)
    container.end({ status: 'error', exitCode: 3, oom: false, error: 'exit code 3', startedAt: 0 })
    await assert.rejects(waiting, (error) => {
      assert.ok(error instanceof StartError)
      assert.deepEqual([error.fault, error.result.exitCode, error.output], ['exited', 3, 'last words'])
      return true
    })
  })

  test('the limit ends the waiting and stops the container', async () => {
    await using dir = await tempDir()
    const clock = virtualClock()
    const container = fakeContainer()
    const waiting = wait(dir.path, container, clock)
    clock.advance(10_000)
    await assert.rejects(waiting, { name: 'StartError', fault: 'timeout' })
    assert.deepEqual(container.stops, ['killed'])
  })

  test('a socket that never listens runs into the limit', async () => {
    await using dir = await tempDir()
    const path = join(dir.path, 'lsnr.sock')
    await bindDeaf(path)
    const clock = virtualClock()
    const waiting = wait(dir.path, fakeContainer(), clock)
    clock.advance(10_000)
    await assert.rejects(waiting, { name: 'StartError', fault: 'timeout' })
  })

  test('an abort ends the waiting and stops the container', async () => {
    await using dir = await tempDir()
    const abort = new AbortController()
    const container = fakeContainer()
    const waiting = wait(dir.path, container, systemClock, abort.signal)
    abort.abort(new Error('nobody waits any more'))
    await assert.rejects(waiting, { message: 'nobody waits any more' })
    assert.deepEqual(container.stops, ['cancelled'])
  })

  test('a disposed socket holds no descriptor, and may be disposed twice', async () => {
    await using dir = await tempDir()
    await using _server = await listen(join(dir.path, 'lsnr.sock'), 'own')
    const held = descriptors()
    const socket = await wait(dir.path)
    socket[Symbol.dispose]()
    socket[Symbol.dispose]()
    await until('the probe to be closed', () => descriptorsSince(held).length === 0)
  })
})

describe('the folder of a socket', () => {
  test('is fresh, private and short', async () => {
    await using root = await tempDir()
    const [one, two] = [await makeShortDir(root.path), await makeShortDir(root.path)]
    assert.notEqual(one, two)
    assert.equal((await stat(one)).mode & 0o777, 0o700)
    assert.ok(join(one, 'lsnr.sock.tmp').length <= 90)
  })

  test('is made elsewhere when the path is too long', async () => {
    await using root = await tempDir()
    const dir = await makeShortDir(join(root.path, 'x'.repeat(80)), 'io')
    assert.ok(join(dir, 'io', 'lsnr.sock.tmp').length <= 90)
    await removeDir(dir)
  })

  test('is removed without following links', async () => {
    await using root = await tempDir()
    await using outside = await tempDir()
    await writeFile(join(outside.path, 'precious'), '')
    const dir = await makeShortDir(root.path)
    await symlink(outside.path, join(dir, 'link'))
    await symlink(join(outside.path, 'precious'), join(dir, 'lsnr.sock'))
    await removeDir(dir)
    assert.equal(existsSync(dir), false)
    assert.deepEqual(await readdir(outside.path), ['precious'])
  })
})
