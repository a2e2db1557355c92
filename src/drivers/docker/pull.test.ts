import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { Docker } from '../../../test/support/docker-client.ts'
import { type EngineName, testEngine } from '../../../test/support/engine.ts'
import {
  type PushedImage,
  pushImage,
  type Registry,
  registryMissing,
  startRegistry,
} from '../../../test/support/registry.ts'
import { until } from '../../../test/support/until.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { DriverError } from '../driver.ts'
import { type Credentials, readCredentials } from './credentials.ts'
import { type Engine, openEngine } from './engine.ts'
import type { PullProgress } from './progress.ts'
import { type ImagePuller, imagePuller } from './pull.ts'

const login = { user: 'images', password: 'sesame' }
const never = new AbortController().signal
/** One is pushed by Docker, whoever pulls it. */
const pusher = testEngine('docker')
const missing = pusher.skip || registryMissing()

const open = (host: string, clock: Clock = systemClock) => openEngine({ host, clock, random: () => 1e-6 }) // pauses, but no long ones

for (const name of ['docker', 'podman'] as const satisfies EngineName[]) {
  const { host, skip } = testEngine(name)
  describe(`images from a registry, on ${name}`, { skip: skip || missing }, () => pulls(name, host))
}

function pulls(name: EngineName, host: string): void {
  let registry: Registry
  let engine: Engine
  let image: PushedImage
  let plain: PushedImage
  let refused = false
  const streams: Readable[] = []

  const credentials = (password = login.password): Credentials =>
    readCredentials({
      dockerAuth: JSON.stringify([{ name: registry.address, username: login.user, password }]),
    })
  const pullerOf = (changes: Partial<Parameters<typeof imagePuller>[0]> = {}): ImagePuller =>
    imagePuller({ engine, credentials: credentials(), clock: systemClock, ...changes })
  const remove = (ref: string) => new Docker(host).removeImage(ref)
  const isHere = (ref: string) =>
    new Docker(host).inspectImage(ref).then(
      () => true,
      () => false,
    )
  const failing = (ref: string, fault: string, reason: RegExp) => (error: unknown) => {
    assert.ok(error instanceof DriverError, String(error))
    assert.equal(error.fault, fault)
    assert.ok(error.message.startsWith(`Failed to pull image '${ref}': `), error.message)
    assert.match(error.message, reason)
    return true
  }
  /** Answers of the engine that are still read. */
  const busy = () => streams.filter(({ closed }) => !closed).length
  const blobs = () => registry.requests.filter((line) => line.startsWith('GET') && line.includes('/blobs/'))

  before(async () => {
    registry = await startRegistry(login)
    const opened = await open(host)
    engine = {
      ...opened,
      async send(request, signal) {
        const answer = await opened.send(request, signal)
        if (answer instanceof Readable) streams.push(answer)
        return answer
      },
    }
    const push = new Docker(pusher.host)
    image = await pushImage(push, registry, 'images-layers:1', { layers: 3, size: 400_000 })
    plain = await pushImage(push, registry, 'images-plain:latest')
    refused = await pullerOf()
      .ensure(plain.ref, never)
      .then(() => false)
      .catch((error) => /HTTP response to HTTPS client/.test(error.message))
    if (!refused) await remove(plain.ref)
  })
  after(async () => {
    engine?.[Symbol.dispose]()
    await registry?.[Symbol.asyncDispose]()
  })
  beforeEach((t) => {
    registry.requests.length = 0
    if (!refused) return
    const text = `${name} must take 127.0.0.1 for an insecure registry; scripts/with-engines.sh should see to it`
    if (process.env['CI']) throw new Error(text)
    ;(t as { skip(text: string): void }).skip(text)
  })
  afterEach(async () => {
    for (const ref of [image.ref, image.digestRef, plain.ref, plain.digestRef])
      if (await isHere(ref)) await remove(ref)
  })

  test('one that is missing is pulled, with the password', async () => {
    const { pulled: id } = await pullerOf().ensure(image.ref, never)
    assert.equal(
      (await new Docker(host).inspectImage(image.ref)).Id.replace(/^sha256:/, ''),
      id?.replace(/^sha256:/, ''),
    )
  })

  test('one that is there is not asked for', async () => {
    const puller = pullerOf()
    await puller.ensure(image.ref, never)
    registry.requests.length = 0
    assert.equal((await puller.ensure(image.ref, never)).pulled, undefined)
    assert.deepEqual(registry.requests, [])
  })

  test('one without a tag is the latest, and no other', async () => {
    await pullerOf().ensure(plain.ref.replace(':latest', ''), never)
    assert.ok(await isHere(plain.ref))
  })

  test('one is found by its digest', async () => {
    assert.ok((await pullerOf().ensure(image.digestRef, never)).pulled)
    assert.equal((await pullerOf().ensure(image.digestRef, never)).pulled, undefined)
  })

  test('a tag beside a digest does not matter', async () => {
    assert.ok((await pullerOf().ensure(image.digestRef.replace('@', ':other@'), never)).pulled)
    assert.equal((await pullerOf().ensure(image.digestRef, never)).pulled, undefined)
  })

  test('a wrong password is denied, at once', async () => {
    const puller = pullerOf({ credentials: credentials('wrong') })
    await assert.rejects(puller.ensure(image.ref, never), failing(image.ref, 'image-denied', /unauthorized/))
    assert.ok(registry.requests.length < 6, registry.requests.join('\n'))
  })

  test('no password is denied', async () => {
    const puller = pullerOf({ credentials: readCredentials({}) })
    await assert.rejects(puller.ensure(image.ref, never), failing(image.ref, 'image-denied', /auth/))
  })

  test('a tag that is not there is missing, at once', async () => {
    const ref = image.ref.replace(/:1$/, ':2')
    await assert.rejects(pullerOf().ensure(ref, never), failing(ref, 'image-missing', /manifest/))
    assert.ok(registry.requests.length < 6, registry.requests.join('\n'))
  })

  test('a name that no image can have is a bad spec', async () => {
    for (const ref of ['Bad Name', '../containers/json?all=1', 'a/../b', '', 'UPPER'])
      await assert.rejects(pullerOf().ensure(ref, never), { name: 'DriverError', fault: 'bad-spec' }, ref)
  })

  test('ten callers get one pull', async () => {
    const puller = pullerOf()
    const all = await Promise.all(Array.from({ length: 10 }, () => puller.ensure(image.ref, never)))
    assert.equal(new Set(all.map(({ pulled }) => pulled)).size, 1)
    assert.equal(blobs().length, 4) // its configuration and three layers
    assert.equal(new Set(blobs()).size, 4)
  })

  test('who aborts leaves the others their pull', async () => {
    const puller = pullerOf()
    const leaving = new AbortController()
    using gate = registry.hold()
    const left = puller.ensure(image.ref, leaving.signal)
    const stays = puller.ensure(image.ref, never)
    await until('the pull to be under way', () => registry.waiting > 0)
    leaving.abort(new Error('left'))
    await assert.rejects(left, { message: 'left' })
    gate[Symbol.dispose]()
    assert.ok(await stays)
  })

  test('when the last caller leaves, the engine stops pulling', async () => {
    const puller = pullerOf()
    const leaving = [new AbortController(), new AbortController()]
    using gate = registry.hold()
    const waits = leaving.map(({ signal }) =>
      assert.rejects(puller.ensure(image.ref, signal), { message: 'left' }),
    )
    await until('the pull to be under way', () => registry.waiting > 0)
    for (const one of leaving) one.abort(new Error('left'))
    await Promise.all(waits)
    await until('the request to be over', () => busy() === 0)
    gate[Symbol.dispose]()
    // Docker does not take back what it has asked a registry for, but makes nothing of the answer.
    await until('the engine to leave the registry', () => registry.waiting === 0)
    await puller.ensure(plain.ref, never)
    assert.equal(await isHere(image.ref), false)
  })

  test('nobody waits for a helper that takes its time after leaving', async () => {
    const leaving = new AbortController()
    const asked = Promise.withResolvers<void>()
    const slow: Credentials = {
      for() {
        asked.resolve()
        return new Promise(() => {})
      },
    }
    const wait = pullerOf({ credentials: slow }).ensure(image.ref, leaving.signal)
    await asked.promise
    leaving.abort(new Error('left'))
    await assert.rejects(wait, { message: 'left' })
    assert.deepEqual(registry.requests, [])
  })

  test('after everybody left, the next one pulls anew', async () => {
    const puller = pullerOf()
    const leaving = new AbortController()
    {
      using _gate = registry.hold()
      const wait = assert.rejects(puller.ensure(image.ref, leaving.signal), { message: 'left' })
      await until('the pull to be under way', () => registry.waiting > 0)
      leaving.abort(new Error('left'))
      await wait
    }
    assert.ok((await puller.ensure(image.ref, never)).pulled)
  })

  test('who has aborted before asks for nothing', async () => {
    await assert.rejects(pullerOf().ensure(image.ref, AbortSignal.abort(new Error('left'))), {
      message: 'left',
    })
    assert.deepEqual(registry.requests, [])
  })

  test('progress ends with all layers', async () => {
    const seen: PullProgress[] = []
    await pullerOf({ onPull: (progress) => seen.push(progress) }).ensure(image.ref, never)
    const last = seen.at(-1) as PullProgress
    assert.equal(last.ref, image.ref)
    assert.ok(last.layers >= 3)
    assert.equal(last.layersDone, last.layers)
    assert.equal(last.bytes, last.total)
  })

  // Podman waits a second between tries of its own, so that nine of them are too slow for a test.
  describe('from a registry that is down', { skip: name === 'podman' }, () => {
    afterEach(() => registry.open())

    test('fail after some tries', async () => {
      await registry.shut()
      await assert.rejects(
        pullerOf().ensure(image.ref, never),
        failing(image.ref, 'pull-failed', /connection refused/),
      )
    })
  })

  test('a registry that comes back is tried again', { skip: name === 'podman' }, async () => {
    let pauses = 0
    const opening = Promise.withResolvers<void>()
    const clock: Clock = {
      ...systemClock,
      after: (ms, fire) => {
        if (++pauses === 2) registry.open().then(opening.resolve, opening.reject)
        return systemClock.after(ms, () => (pauses < 2 ? fire() : opening.promise.then(fire)))
      },
    }
    using patient = await open(host, clock)
    await registry.shut()
    pauses = 0
    assert.ok((await pullerOf({ engine: patient }).ensure(image.ref, never)).pulled)
    assert.equal(pauses, 2)
  })
}
