import { lstat, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Clock, limit } from '../core/clock.ts'
import { isThere, listBelow } from '../host/folder.ts'
import { removeUnpacked } from './unpack.ts'

/** Bytes of TypeScript in a bundle. Beyond it (a second of work) Node takes the types out at each start. */
const MOST_BYTES = 4 * 1_048_576
/** Milliseconds that a first start waits for it. */
const LIMIT = 10_000

export interface Stripping {
  /** The bundle's files. */
  readonly from: string
  /** Where to make it: below the same folder as `to`. */
  readonly half: string
  readonly to: string
}

/**
 * Makes the folder `to`, with the JavaScript of a bundle's TypeScript under the same paths: whole or absent, in a
 * thread of its own, once. Absent when there is none, or whatever goes wrong: then Node does it, at each start.
 * @throws the signal's reason
 */
export async function strip({ from, half, to }: Stripping, clock: Clock, signal: AbortSignal): Promise<void> {
  if (await isThere(to)) return
  try {
    const files = await findTypeScript(from)
    if (files.length === 0) return
    await mkdir(half, { mode: 0o755 })
    using over = limit(clock, LIMIT, signal)
    await runThread({ from, to: half, files }, over.signal)
    await rename(half, to)
  } catch {
    await removeUnpacked(half)
    signal.throwIfAborted()
  }
}

/** What Node would take the types out of: not declarations, nothing of libraries. None when it is too much. */
async function findTypeScript(dir: string): Promise<string[]> {
  const files: string[] = []
  let bytes = 0
  for (const path of await listBelow(dir)) {
    if (!/(?<!\.d)\.[cm]?ts$/.test(path) || path.split('/').includes('node_modules')) continue
    const stats = await lstat(join(dir, path))
    if (!stats.isFile()) continue
    bytes += stats.size
    if (bytes > MOST_BYTES) return []
    files.push(path)
  }
  return files
}

/** Resolves when the thread has written all; rejects when it failed or was ended, and is gone by then. */
async function runThread(work: object, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const program = new URL('../fdk/strip.cjs', import.meta.url)
  const execArgv = ['--disable-warning=ExperimentalWarning']
  const worker = new Worker(program, { workerData: work, execArgv, env: {}, name: 'strip' })
  const end = () => void worker.terminate()
  signal.addEventListener('abort', end, { once: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let failed: unknown
  worker.on('error', (error) => {
    failed = error
  })
  worker.on('exit', (code) => (code === 0 && !failed ? resolve() : reject(failed ?? signal.reason)))
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', end)
  }
}
