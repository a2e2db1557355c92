import { startAuxiliary } from './auxiliary.ts'
import type { Engine } from './engine.ts'
import { inspectState, removeContainer } from './requests.ts'

/**
 * Networks made ahead of time, since making one is most of what a start takes: each is a container that sleeps, whose
 * network one function joins. Never shared: on a common loopback functions would meet.
 */
export interface HolderPool extends AsyncDisposable {
  /** One that runs, or `undefined` when none is ready. Whoever takes it removes it. */
  take(): Promise<string | undefined>
  /** Makes up for those that were taken, in the background: best while nothing else starts. */
  fill(): void
}

export interface HolderOptions {
  readonly engine: Engine
  readonly owner: string
  /** With a busybox. */
  readonly image: string
  /** Kept ready. */
  readonly size: number
}

const MEMORY = 8 * 1024 ** 2

export function holderPool(options: HolderOptions): HolderPool {
  const { engine, size } = options
  const ready: string[] = []
  let making = 0
  let closed = false
  const work = new Set<Promise<void>>()

  const background = (job: Promise<void>) => {
    // Without holders starts are slower, no more than that; and what could not be removed goes at the next start.
    const done = job.catch(() => {}).finally(() => work.delete(done))
    work.add(done)
  }
  const remove = (id: string) => removeContainer(engine, id)

  const fill = () => {
    while (!closed && ready.length + making < size) {
      making++
      background(makeOne())
    }
  }
  const makeOne = async () => {
    try {
      const id = await makeHolder(options)
      if (closed) await remove(id)
      else ready.push(id)
    } finally {
      making--
    }
  }

  fill()
  return {
    async take() {
      for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
        const state = await inspectState(engine, id).catch(() => undefined)
        if (state?.Running) return id
        background(remove(id)) // the engine was started anew, or somebody ended it
      }
      return undefined
    },
    fill,
    async [Symbol.asyncDispose]() {
      closed = true
      for (const id of ready.splice(0)) background(remove(id))
      while (work.size > 0) await Promise.all(work)
    },
  }
}

const makeHolder = ({ engine, image, owner }: HolderOptions): Promise<string> =>
  startAuxiliary({
    ...{ engine, image, owner },
    argv: ['/bin/busybox', 'sleep', '2147483647'],
    host: { PidsLimit: 4, Memory: MEMORY, MemorySwap: MEMORY },
  })
