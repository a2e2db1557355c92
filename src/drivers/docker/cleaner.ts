import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import type { Clock } from '../../core/clock.ts'
import { api, type ImageSummary } from './api.ts'
import type { Engine } from './engine.ts'
import { statusOf } from './faults.ts'
import { imageName } from './reference.ts'

/**
 * Keeps the images that this driver pulled within a budget of bytes. The least recently used go first; never one in
 * use here, never one that a container or a name of somebody else needs, never one that was there before.
 */
export interface ImageCleaner extends AsyncDisposable {
  /** In use until disposed, and last used at both ends. Take it before the image is looked for. */
  use(ref: string): Disposable
  /** This driver has pulled it, so it may be removed. */
  pulled(ref: string, id: string): void
  /**
   * Cleans, at most once a minute: sooner asked for, it is done when the minute is over and this resolves at once.
   * Never rejects: what could not be removed now is tried again the next time.
   */
  clean(): Promise<void>
}

export interface CleanerOptions {
  readonly engine: Engine
  /** Bytes, as the engine counts an image: a layer that several share counts for each. 0 = nothing is removed. */
  readonly budget: number
  readonly clock: Clock
  /** Where what was pulled is kept over a restart. @default nowhere: older images stay until somebody removes them */
  readonly file?: string | undefined
}

/** What was pulled under one name. */
interface Pulled {
  readonly id: string
  /** Since the epoch. */
  usedAt: number
}

const INTERVAL = 60_000

export function imageCleaner({ engine, budget, clock, file }: CleanerOptions): ImageCleaner {
  const pulled = readFile(file)
  const inUse = new Map<string, number>()
  const closing = new AbortController()
  let lastRun = Number.NEGATIVE_INFINITY
  let planned: Disposable | undefined
  let work: Promise<void> = Promise.resolve()

  const touch = (key: string) => {
    const entry = pulled.get(key)
    if (entry) entry.usedAt = clock.wall()
  }
  const count = (key: string, by: number) => {
    const users = (inUse.get(key) ?? 0) + by
    if (users > 0) inUse.set(key, users)
    else inUse.delete(key)
    touch(key)
  }
  const save = async () => {
    if (file === undefined) return
    await writeFile(`${file}.new`, JSON.stringify({ pulled: Object.fromEntries(pulled) }), { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  /** One after the other; a failure is left to the next time. */
  const enqueue = (task: () => Promise<void>): Promise<void> => {
    work = work.then(task).catch(() => {})
    return work
  }
  const run = () => {
    lastRun = clock.now()
    return enqueue(async () => {
      await shrink(engine, { budget, pulled, inUse, signal: closing.signal })
      await save()
    })
  }

  return {
    use(ref) {
      const { key } = imageName(ref)
      count(key, 1)
      let held = true
      return {
        [Symbol.dispose]() {
          if (held) count(key, -1)
          held = false
        },
      }
    },

    pulled(ref, id) {
      pulled.set(imageName(ref).key, { id, usedAt: clock.wall() })
      enqueue(save)
    },

    async clean() {
      if (budget <= 0 || closing.signal.aborted || planned) return
      const wait = lastRun + INTERVAL - clock.now()
      if (wait <= 0) return run()
      planned = clock.after(wait, () => {
        planned = undefined
        run()
      })
    },

    async [Symbol.asyncDispose]() {
      closing.abort()
      planned?.[Symbol.dispose]()
      await enqueue(save)
    },
  }
}

interface State {
  readonly budget: number
  readonly pulled: Map<string, Pulled>
  readonly inUse: ReadonlyMap<string, number>
  readonly signal: AbortSignal
}

async function shrink(engine: Engine, state: State): Promise<void> {
  const { budget, pulled, signal } = state
  const options = { idempotent: true, signal }
  const images = await engine.ask('list its images', api.images(), options)
  const present = new Map(images.map((image) => [image.Id, image]))
  for (const [key, { id }] of pulled) if (!present.has(id)) pulled.delete(key)
  const ours = [...new Set([...pulled.values()].map(({ id }) => id))].map(
    (id) => present.get(id) as ImageSummary,
  )
  let size = ours.reduce((sum, image) => sum + image.Size, 0)
  if (size <= budget) return

  const containers = await engine.ask('list its containers', api.containers(), options)
  const needed = new Set(containers.map(({ ImageID }) => ImageID))
  const usedAt = ({ Id }: ImageSummary) => Math.max(...entriesOf(pulled, Id).map(([, entry]) => entry.usedAt))
  for (const image of ours.sort((a, b) => usedAt(a) - usedAt(b))) {
    if (size <= budget) return
    if (!needed.has(image.Id) && (await removeImage(engine, image, state))) size -= image.Size
  }
}

const entriesOf = (pulled: ReadonlyMap<string, Pulled>, id: string) =>
  [...pulled].filter(([, entry]) => entry.id === id)

/** Removes an image with all its names. @returns whether it did */
async function removeImage(engine: Engine, image: ImageSummary, state: State): Promise<boolean> {
  const { pulled, inUse, signal } = state
  const tags = (image.RepoTags ?? []).filter((tag) => !tag.startsWith('<none>'))
  const free = entriesOf(pulled, image.Id).every(([key]) => !inUse.has(key))
  // Somebody else gave it a name, or use of one began a moment ago.
  if (!free || !tags.every((tag) => pulled.has(imageName(tag).key))) return false
  for (const name of tags.length > 0 ? tags : [image.Id])
    if (!(await removeName(engine, name, signal).catch(() => false))) return false
  for (const [key] of entriesOf(pulled, image.Id)) pulled.delete(key)
  return true
}

/** False for one that a container has come to need. */
function removeName(engine: Engine, name: string, signal: AbortSignal): Promise<boolean> {
  return engine.call(
    'remove the image',
    async (signal) => {
      try {
        await engine.send(api.removeImage(name), signal)
        return true
      } catch (error) {
        if (statusOf(error) === 404) return true
        if (statusOf(error) === 409) return false
        throw error
      }
    },
    { idempotent: true, signal },
  )
}

/** Empty when there is none yet, or when it is not as this wrote it. */
function readFile(file: string | undefined): Map<string, Pulled> {
  const pulled = new Map<string, Pulled>()
  if (file === undefined) return pulled
  try {
    for (const [key, { id, usedAt }] of Object.entries<Pulled>(JSON.parse(readFileSync(file, 'utf8')).pulled))
      if (typeof id === 'string' && Number.isFinite(usedAt)) pulled.set(key, { id, usedAt })
  } catch {
    // Then nothing of before is removed.
  }
  return pulled
}
