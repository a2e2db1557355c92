import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { Docker } from '../../../test/support/docker-client.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { makeImage } from '../../../test/support/registry.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { until } from '../../../test/support/until.ts'
import { systemClock, type VirtualClock, virtualClock } from '../../core/clock.ts'
import { type ImageCleaner, imageCleaner } from './cleaner.ts'
import { type Engine, openEngine } from './engine.ts'

const { host, skip } = testEngine('docker')
const MB = 1_000_000

describe('the cleaner of images', { skip }, () => {
  let engine: Engine
  let clock: VirtualClock
  let dir: Awaited<ReturnType<typeof tempDir>>
  let cleaner: ImageCleaner
  const made = new Set<string>()
  const docker = new Docker(host)
  const cleaners: ImageCleaner[] = []

  before(async () => {
    engine = await openEngine({ host, clock: systemClock, random: () => 1e-6 })
  })
  after(() => engine?.[Symbol.dispose]())
  beforeEach(async () => {
    clock = virtualClock(1_000_000)
    dir = await tempDir()
    cleaner = open(2.5 * MB)
  })
  afterEach(async () => {
    for (const one of cleaners.splice(0)) await one[Symbol.asyncDispose]()
    for (const ref of made) await docker.removeImage(ref, true).catch(() => {})
    made.clear()
    await dir[Symbol.asyncDispose]()
  })

  const file = () => join(dir.path, 'images.json')
  const open = (budget: number): ImageCleaner => {
    const one = imageCleaner({ engine, budget, clock, file: file() })
    cleaners.push(one)
    return one
  }
  /** An image of a megabyte that nobody has pulled. */
  const make = async (name: string): Promise<string> => {
    const ref = `images-cleaner-${process.pid}-${name}:1`
    made.add(ref)
    await makeImage(docker, ref, { size: MB })
    return ref
  }
  const idOf = async (ref: string) => (await docker.inspectImage(ref)).Id
  /** Makes images that were pulled one second after another. */
  const pull = async (...names: string[]): Promise<string[]> => {
    const refs: string[] = []
    for (const name of names) {
      const ref = await make(name)
      clock.advance(1_000)
      cleaner.pulled(ref, await idOf(ref))
      refs.push(ref)
    }
    return refs
  }
  const isHere = (ref: string) =>
    idOf(ref).then(
      () => true,
      () => false,
    )
  const left = async (refs: readonly string[]) => {
    const here = await Promise.all(refs.map(isHere))
    return refs
      .filter((_, i) => here[i])
      .map((ref) => /-(\w+):1$/.exec(ref)?.[1])
      .join('')
  }

  test('removes the least recently used until the budget is met', async () => {
    const refs = await pull('a', 'b', 'c', 'd')
    clock.advance(1_000)
    cleaner.use(refs[0] as string)[Symbol.dispose]()
    await cleaner.clean()
    assert.equal(await left(refs), 'ad')
  })

  test('removes nothing within the budget', async () => {
    const refs = await pull('a', 'b')
    await cleaner.clean()
    assert.equal(await left(refs), 'ab')
  })

  test('removes nothing without a budget', async () => {
    const refs = await pull('a', 'b', 'c')
    await open(0).clean()
    assert.equal(await left(refs), 'abc')
  })

  test('leaves what is in use, under whatever spelling', async () => {
    const refs = await pull('a', 'b', 'c')
    using _use = cleaner.use(`docker.io/library/${refs[0]}`)
    await cleaner.clean()
    assert.equal(await left(refs), 'ac')
  })

  test('takes an image for used until the last user is gone', async () => {
    const refs = await pull('a', 'b', 'c')
    const [first, second] = [cleaner.use(refs[0] as string), cleaner.use(refs[0] as string)]
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    await cleaner.clean()
    assert.equal(await left(refs), 'ac')
    second[Symbol.dispose]()
  })

  test('leaves what a container needs, also one that does not run', async () => {
    const refs = await pull('a', 'b', 'c')
    const container = await docker.create({ Image: refs[0] as string, Cmd: ['/file0'] })
    try {
      await cleaner.clean()
      assert.equal(await left(refs), 'ac')
    } finally {
      await docker.remove(container)
    }
  })

  test('leaves what somebody gave another name', async () => {
    const refs = await pull('a', 'b', 'c')
    const repo = `images-cleaner-${process.pid}-theirs`
    made.add(`${repo}:1`)
    await docker.tag(refs[0] as string, repo, '1')
    await cleaner.clean()
    assert.equal(await left(refs), 'ac')
  })

  test('leaves what it has not pulled, though it was used', async () => {
    const theirs = await make('t')
    cleaner.use(theirs)[Symbol.dispose]()
    const refs = await pull('a', 'b', 'c')
    await cleaner.clean()
    assert.equal(await left([theirs, ...refs]), 'tbc')
  })

  test('leaves what has taken the name of what it pulled', async () => {
    const refs = await pull('a', 'b', 'c')
    const before = await idOf(refs[0] as string)
    await make('a')
    await cleaner.clean()
    assert.equal(await left(refs), 'abc')
    assert.equal(await isHere(before), false)
  })

  test('removes an image with all names that it was pulled under', async () => {
    const refs = await pull('a', 'b', 'c')
    const repo = `images-cleaner-${process.pid}-again`
    made.add(`${repo}:1`)
    await docker.tag(refs[0] as string, repo, '1')
    cleaner.pulled(`${repo}:1`, await idOf(refs[0] as string))
    clock.advance(1_000)
    for (const ref of refs.slice(1)) cleaner.use(ref)[Symbol.dispose]()
    await cleaner.clean()
    assert.equal(await left([...refs, `${repo}:1`]), 'bc')
  })

  test('cleans once a minute, and then what it was asked for in between', async () => {
    await cleaner.clean()
    const refs = await pull('a', 'b', 'c')
    await cleaner.clean()
    assert.equal(await left(refs), 'abc')
    clock.advance(60_000)
    await until('the oldest to go', async () => (await left(refs)) === 'bc')
  })

  test('once closed, cleans no more', async () => {
    await cleaner.clean()
    const refs = await pull('a', 'b', 'c')
    await cleaner.clean()
    await cleaner[Symbol.asyncDispose]()
    await cleaner[Symbol.asyncDispose]()
    clock.advance(120_000)
    await cleaner.clean()
    assert.equal(await left(refs), 'abc')
  })

  test('knows after a restart what it pulled, and when it was used', async () => {
    const refs = await pull('a', 'b', 'c')
    clock.advance(1_000)
    cleaner.use(refs[0] as string)[Symbol.dispose]()
    await cleaner[Symbol.asyncDispose]()
    await open(2.5 * MB).clean()
    assert.equal(await left(refs), 'ac')
  })

  test('has written what it pulled before it is closed, for nobody else to read', async () => {
    const [ref] = await pull('a')
    const written = await until('the file', () => readFile(file(), 'utf8').catch(() => ''))
    assert.ok(written.includes(ref as string))
    assert.equal((await stat(file())).mode & 0o777, 0o600)
  })

  for (const text of [
    '',
    '[]',
    '{"pulled": null}',
    '{"pulled": {"a": null}}',
    '{"pulled": {"a:1": {"id": 7}}}',
  ])
    test(`starts from nothing when its file holds ${text || 'nothing'}`, async () => {
      await writeFile(file(), text)
      const refs = await pull('a')
      await open(1).clean()
      assert.equal(await left(refs), 'a')
    })

  test('survives an engine that has gone', async () => {
    const refs = await pull('a', 'b', 'c')
    const gone: Engine = { ...engine, call: () => Promise.reject(new Error('gone')) }
    const broken = imageCleaner({ engine: gone, budget: 1, clock })
    broken.pulled(refs[0] as string, await idOf(refs[0] as string))
    await broken.clean()
    await broken[Symbol.asyncDispose]()
    assert.equal(await left(refs), 'abc')
  })
})
