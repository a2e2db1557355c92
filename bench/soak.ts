import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type Helper, startHelper } from './support/process.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const FUNCTIONS = 300
const CALLERS = 8
const SAMPLE_MS = 10_000

interface Ready {
  readonly url: string
  readonly paths: readonly string[]
}

/** What a node holds, after its garbage was collected. */
interface Sample {
  readonly heap: number
  readonly rss: number
  readonly descriptors: number
  readonly timers: number
}

/** What callers do: most get their answer, some fail, run out of time, or leave. */
const MOODS = ['', '', '', '', '', '', 'fail', 'garbage', 'slow', 'leave']

/** One call; whatever becomes of it is fine, as long as something does. */
function callOnce(url: string, mood: string): Promise<void> {
  return new Promise((resolve) => {
    const call = request(url, { method: 'POST', headers: { 'content-type': 'text/plain' } }, (res) => {
      res.resume()
      res.on('close', resolve)
    })
    call.on('error', () => resolve())
    call.end(mood === 'leave' ? 'slow' : mood)
    if (mood === 'leave') setTimeout(() => call.destroy(), 20)
  })
}

async function sampleOf({ child }: Helper<Ready>): Promise<Sample> {
  child.send('sample')
  const [sample] = (await once(child, 'message')) as [Sample]
  return sample
}

/**
 * A node on the mock driver whose functions idle out after a second or two, so that containers come and go all the
 * time. `SOAK_MINUTES` says how long.
 */
export const soak: Benchmark = {
  question:
    'Does a node grow while it serves, fails, times out, starts and stops containers for a long time?',
  async run(): Promise<Row[]> {
    const minutes = Number(process.env['SOAK_MINUTES'] ?? 30)
    await using node = await startHelper<Ready>('many-node.ts', String(FUNCTIONS), 'soak')
    const { url, paths } = node.ready
    const end = performance.now() + minutes * 60_000
    let calls = 0
    const callers = Array.from({ length: CALLERS }, async (_, caller) => {
      for (let i = caller; performance.now() < end; i += CALLERS) {
        // Some functions are called all the time, some now and then.
        const fn = i % 3 === 0 ? (i / 3) % FUNCTIONS : i % 10
        await callOnce(url + paths[Math.floor(fn)], MOODS[i % MOODS.length] as string)
        calls++
        if (i % 20 === 0) await delay(5)
      }
    })
    const samples: Sample[] = []
    await delay(Math.min(120_000, (minutes * 60_000) / 4)) // caches fill
    while (performance.now() < end) {
      samples.push(await sampleOf(node))
      await delay(SAMPLE_MS)
    }
    await Promise.all(callers)
    const part = Math.max(1, Math.floor(samples.length / 4))
    const compare = (field: keyof Sample, unit: string, scale: number, atMost: number): Row => {
      const of = (list: Sample[]) =>
        quantile(
          list.map((sample) => sample[field]),
          0.5,
        ) / scale
      const [first, last] = [of(samples.slice(0, part)), of(samples.slice(-part))]
      return {
        what: `${field}, last quarter ÷ first`,
        baseline: `${first.toFixed(1)} ${unit}`,
        measured: `${last.toFixed(1)} ${unit}`,
        ratio: last / first,
        atMost,
      }
    }
    return [
      {
        ...compare('heap', 'MiB', 1024 ** 2, 1.05),
        what: `heap after collecting, last quarter ÷ first (${minutes} min, ${calls.toLocaleString('en')} calls)`,
      },
      compare('rss', 'MiB', 1024 ** 2, 1.1),
      compare('descriptors', 'open', 1, 1.1),
      compare('timers', 'armed', 1, 1.1),
    ]
  },
}
