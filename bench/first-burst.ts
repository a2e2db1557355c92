import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../src/core/clock.ts'
import { makeDefinition } from '../test/support/definitions.ts'
import { callOnce, openRunner } from './support/calls.ts'
import { engineHost, openDocker, openFolder } from './support/drivers.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const CALLS = 20
const ROUNDS = 5

const HANDLER = `export default async () => {
  await new Promise((resolve) => setTimeout(resolve, 100))
  return 'done'
}
`

/** Each burst meets a function that has never run on its runner. */
export const firstBurst: Benchmark = {
  question: `How long do ${CALLS} simultaneous first calls of a 100 ms function take until the last is answered? (Docker)`,
  async run(): Promise<Row[]> {
    const host = engineHost()
    if (host === undefined)
      throw new Error('no engine: run it by `sh scripts/with-engines.sh`, or set DOCKER_HOST')
    await using folder = await openFolder()
    await using driver = await openDocker(host, folder.path, 0)
    const dir = join(folder.path, 'slow')
    await mkdir(dir)
    await writeFile(join(dir, 'func.mjs'), HANDLER)
    const burst = async (launch: 'expected' | 'per-call') => {
      await using runner = openRunner(
        driver,
        { kind: 'bundle', dir },
        {
          launch,
          // Today's Fn starts them all at once.
          maxStarts: launch === 'per-call' ? CALLS : 2,
        },
      )
      const definition = makeDefinition({ id: launch, max_wait: 120, start_timeout: 60 })
      const began = systemClock.now()
      await Promise.all(Array.from({ length: CALLS }, () => callOnce(runner, definition)))
      return { ms: systemClock.now() - began, starts: runner.load.starts }
    }
    await burst('expected') // the image is made
    const results = { expected: [], 'per-call': [] } as Record<string, { ms: number; starts: number }[]>
    for (let round = 0; round < ROUNDS; round++) {
      const order = ['expected', 'per-call'] as const
      for (const launch of round % 2 ? order : order.toReversed()) results[launch]?.push(await burst(launch))
    }
    const of = (launch: string, field: 'ms' | 'starts') =>
      quantile(
        (results[launch] ?? []).map((result) => result[field]),
        0.5,
      )
    const tell = (launch: string) =>
      `${of(launch, 'ms').toFixed(0)} ms, ${(results[launch] ?? []).map(({ starts }) => starts).join('/')} containers`
    return [
      {
        what: `median of ${ROUNDS}, launch rule ÷ one container for every waiting call`,
        baseline: tell('per-call'),
        measured: tell('expected'),
        ratio: of('expected', 'ms') / of('per-call', 'ms'),
        atMost: 0.7,
      },
    ]
  },
}
